echo hook >> ~/hooked
