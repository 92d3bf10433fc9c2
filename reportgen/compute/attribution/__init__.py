"""Attribution maps: which positions of an image a class's score rests on, with checks of each map."""
