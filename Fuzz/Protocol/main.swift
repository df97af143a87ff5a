internal import FuzzDriver

fuzz("protocol")
