internal import FuzzDriver

fuzz("iso9660")
