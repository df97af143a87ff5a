// (room to be furnished)
