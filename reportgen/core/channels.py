"""Channels of a colour picture: how many there are, and in which orders files and networks keep them."""

from __future__ import annotations

from enum import StrEnum

RGB_CHANNELS = 3  # red, green and blue


class ChannelOrder(StrEnum):
    """The order of the three channels of a colour picture, or of a kernel that is applied to one."""

    RGB = "RGB"
    BGR = "BGR"  # as Caffe, and so the weights of VGG and ResNet in keras.applications, take them
