internal import FuzzDriver

fuzz("iso")
