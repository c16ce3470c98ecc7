"""Records of how results were made, and the scripts, commands and methods texts built from them."""
