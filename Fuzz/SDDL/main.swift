internal import FuzzDriver

fuzz("sddl")
