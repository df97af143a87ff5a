import VHDXFormat
