// The reader of UDF follows.
