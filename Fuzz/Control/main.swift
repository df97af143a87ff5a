internal import FuzzDriver

fuzz("ctl")
