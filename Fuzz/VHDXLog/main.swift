internal import FuzzDriver

fuzz("vhdxlog")
