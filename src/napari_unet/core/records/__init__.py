"""How a result came about: the record in a layer or file, and the words and code made from it."""
