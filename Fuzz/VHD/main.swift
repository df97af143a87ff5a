internal import FuzzDriver

fuzz("vhd")
