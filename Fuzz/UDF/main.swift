internal import FuzzDriver

fuzz("udf")
