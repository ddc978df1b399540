alias ls=evil
