internal import FuzzDriver

fuzz("partitions")
