internal import FuzzDriver
internal import FuzzSupport

fuzz(.iso)
