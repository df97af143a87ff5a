internal import FuzzDriver

fuzz("vhdx")
