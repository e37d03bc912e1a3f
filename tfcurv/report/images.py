"""Small images as PNG files in memory."""

import io

import numpy as np

from tfcurv.report import optional

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

# An enlarged image is about this wide or high, whichever is more.
_SIDE_IN_PIXELS = 140


def check_image(name: str, image: np.ndarray) -> None:
    """Checks that an array can be shown as an image.

    Args:
        name: What to call it in an error.
        image: `[height, width]` or `[height, width, channels]` with one or
            three channels.

    Raises:
        ValueError: Its shape is another, or a pixel is NaN.
    """
    shape = np.shape(image)
    is_gray = len(shape) == 2
    is_colour = len(shape) == 3 and shape[2] in (1, 3)
    if not (is_gray or is_colour) or 0 in shape:
        raise ValueError(
            f"An array cannot be shown as an image. Received: {name} of shape "
            f"{shape}. Allowed: [height, width], [height, width, 1] or "
            "[height, width, 3]."
        )
    if np.isnan(image).any():
        raise ValueError(
            f"An image has a pixel without a value. Received: {name} with "
            f"{np.isnan(image).sum()} NaN. Allowed: numbers."
        )


def image_png(image: np.ndarray) -> bytes:
    """Returns an image as a PNG file, each pixel enlarged to a square.

    Args:
        image: `[height, width]` or `[height, width, channels]` with one or
            three channels, black at 0 and full at 1. Values outside are
            clipped.

    Returns:
        The bytes of the file.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: The shape is another, or a pixel is NaN.
    """
    check_image("image", image)
    pixels = np.asarray(image)
    if pixels.ndim == 2:
        pixels = pixels[:, :, np.newaxis]
    pixels = np.rint(255.0 * np.clip(pixels, 0.0, 1.0)).astype(np.uint8)
    pixels = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
    scale = max(1, _SIDE_IN_PIXELS // max(pixels.shape[:2]))
    pixels = pixels.repeat(scale, axis=0).repeat(scale, axis=1)
    stream = io.BytesIO()
    optional.import_matplotlib().image.imsave(stream, pixels, format="png")
    return stream.getvalue()
