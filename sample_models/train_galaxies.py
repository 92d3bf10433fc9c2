"""Render artificial galaxies with NumPy and train a small grey-image network to tell five classes apart.

The script draws every image itself (no survey data is used): Sersic bulges and disks, logarithmic spiral arms,
dust lanes, clumps, a Moffat point-spread function, photon noise and read noise.  It writes, into ``--output``:

* ``galaxies_initial.keras``  the network before any training,
* ``galaxies.keras``          the same network after training,
* ``galaxies_classes.txt``    the class names, in the order of the network's outputs,
* ``galaxies/<class>.png``    one unseen render of each class (the first one drawn from a seed of its own).

The seed fixes the renders and the order of training.  Trained weights can still differ in their last digits
between machines and library versions.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

CLASSES = ("elliptical", "lenticular", "spiral", "edge-on", "irregular")

SIZE = 64  # image side, in pixels
OVERSAMPLING = 2  # the sky is drawn on a grid this many times finer, then binned
SKY_ELECTRONS = 120.0  # sky background per pixel
READ_NOISE = 4.0  # electrons
CORE_FRACTION = 0.1  # the brightness of a galaxy is set on the mean of this fraction of its brightest pixels

# Every purpose has its own stream of random numbers, so no test or sample image is ever trained on.
TRAIN_STREAM, VALIDATION_STREAM, TEST_STREAM, SAMPLE_STREAM = 1, 2, 3, 4
TRAIN_PER_CLASS = 3000
VALIDATION_PER_CLASS = 200
TEST_PER_CLASS = 400

EPOCHS = 24
BATCH = 64
LEARNING_RATE = 2e-3
DROPOUT = 0.3
THREADS = 2

Rng = np.random.Generator
Array = np.ndarray


@dataclass(frozen=True)
class Frame:
    """Coordinates seen from one galaxy: ``x`` along its major axis, ``y`` along its minor axis, in pixels."""

    x: Array
    y: Array

    def radius(self, axis_ratio: float, exponent: float = 2.0) -> Array:
        """Return the elliptical radius; an exponent above 2 gives boxy isophotes, below 2 disky ones."""
        return (np.abs(self.x) ** exponent + np.abs(self.y / axis_ratio) ** exponent) ** (1.0 / exponent)


def random_frame(rng: Rng, scatter: float = 2.0) -> Frame:
    """Return a frame with a random position angle and a centre within a few pixels of the image centre."""
    side = SIZE * OVERSAMPLING
    ticks = (np.arange(side) + 0.5) / OVERSAMPLING - SIZE / 2
    x, y = np.meshgrid(ticks, ticks)
    x = x - rng.uniform(-scatter, scatter)
    y = y - rng.uniform(-scatter, scatter)
    angle = rng.uniform(0.0, np.pi)
    return Frame(x * np.cos(angle) + y * np.sin(angle), -x * np.sin(angle) + y * np.cos(angle))


def sersic(radius: Array, effective_radius: float, index: float) -> Array:
    """Return a Sersic profile, one at the effective radius (index 1: exponential disk, 4: de Vaucouleurs)."""
    b = 2.0 * index - 1.0 / 3.0 + 4.0 / (405.0 * index)
    return np.exp(-b * ((radius / effective_radius) ** (1.0 / index) - 1.0))


def unit_light(image: Array) -> Array:
    """Scale an image to a sum of one, so that components can be mixed by their share of the light."""
    return image / image.sum()


def gaussian_spot(frame: Frame, x: float, y: float, sigma: float) -> Array:
    """Return a round spot of peak one."""
    return np.exp(-((frame.x - x) ** 2 + (frame.y - y) ** 2) / (2.0 * sigma**2))


def smooth_noise(rng: Rng, scale: float) -> Array:
    """Return a random field of mean zero and standard deviation one, smooth over ``scale`` pixels."""
    side = SIZE * OVERSAMPLING
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :]) * OVERSAMPLING
    spectrum = np.fft.rfft2(rng.standard_normal((side, side))) * np.exp(-2.0 * (np.pi * scale * frequency) ** 2)
    field = np.fft.irfft2(spectrum, s=(side, side))
    return (field - field.mean()) / field.std()


def elliptical(rng: Rng) -> Array:
    """Draw an elliptical galaxy: one concentrated, featureless Sersic profile with a wide halo."""
    frame = random_frame(rng)
    radius = frame.radius(rng.uniform(0.5, 1.0), rng.uniform(1.9, 2.2))
    return sersic(radius, rng.uniform(6.0, 13.0), rng.uniform(3.0, 6.0))


def lenticular(rng: Rng) -> Array:
    """Draw a lenticular galaxy: a round bulge in a smooth tilted disk, sometimes with a faint bar or ring."""
    frame = random_frame(rng)
    scale = rng.uniform(9.0, 14.0)
    axis_ratio = rng.uniform(0.28, 0.75)
    radius = frame.radius(axis_ratio)
    bulge = unit_light(sersic(frame.radius(rng.uniform(0.75, 1.0)), scale * rng.uniform(0.15, 0.25), 2.0))
    disk = unit_light(sersic(radius, scale, rng.uniform(0.5, 0.9)))
    bulge_share = rng.uniform(0.2, 0.45)
    light = bulge_share * bulge + (1.0 - bulge_share) * disk
    extra = rng.uniform()
    if extra < 0.25:
        bar = Frame(frame.x, frame.y / axis_ratio).radius(rng.uniform(0.3, 0.45), 2.6)
        light = light + rng.uniform(0.05, 0.12) * unit_light(sersic(bar, scale * 0.5, 0.5))
    elif extra < 0.5:
        ring = np.exp(-0.5 * ((radius - scale * rng.uniform(0.9, 1.2)) / (0.16 * scale)) ** 2)
        light = light + rng.uniform(0.05, 0.12) * unit_light(ring)
    return light


def spiral(rng: Rng) -> Array:
    """Draw a spiral galaxy: bulge, disk, logarithmic arms with knots of star formation, sometimes a bar."""
    frame = random_frame(rng)
    scale = rng.uniform(9.0, 14.0)
    axis_ratio = rng.uniform(0.45, 1.0)
    hand = rng.choice((-1.0, 1.0))
    plane = Frame(frame.x, hand * frame.y / axis_ratio)
    radius = np.hypot(plane.x, plane.y) + 1e-3
    azimuth = np.arctan2(plane.y, plane.x)

    arms = int(rng.choice((2, 3, 4), p=(0.7, 0.15, 0.15)))
    pitch = np.deg2rad(rng.uniform(14.0, 30.0))
    start = rng.uniform(0.0, 2.0 * np.pi)
    waviness = rng.uniform(0.1, 0.35) * smooth_noise(rng, 5.0)
    phase = arms * (azimuth - start) - arms * np.log(radius / scale) / np.tan(pitch) + waviness
    sharpness = rng.uniform(1.5, 3.5)
    ridge = np.exp(sharpness * (np.cos(phase) - 1.0))
    inner = 1.0 / (1.0 + np.exp(-(radius - 0.25 * scale) / (0.06 * scale)))

    disk = sersic(radius, scale, 1.0)
    knots = 1.0 + rng.uniform(0.2, 0.45) * smooth_noise(rng, 0.9)
    outer = sersic(radius, 1.15 * scale, 0.7)
    arm_light = outer * ridge * inner * np.clip(knots, 0.0, None)
    between = disk * (1.0 - rng.uniform(0.2, 0.5) * inner * np.exp(sharpness * (np.cos(phase - 0.9) - 1.0)))

    bulge_share = rng.uniform(0.06, 0.2)
    arm_share = rng.uniform(0.38, 0.6)
    bulge = unit_light(sersic(frame.radius(max(axis_ratio, 0.75)), scale * rng.uniform(0.12, 0.2), 2.0))
    light = bulge_share * bulge + arm_share * unit_light(arm_light)
    light = light + (1.0 - bulge_share - arm_share) * unit_light(between)
    if rng.uniform() < 0.35:
        turn = start + np.log(0.3) / np.tan(pitch)  # so that the arms leave from the ends of the bar
        bar = Frame(
            plane.x * np.cos(turn) + plane.y * np.sin(turn), -plane.x * np.sin(turn) + plane.y * np.cos(turn)
        ).radius(rng.uniform(0.25, 0.4), 2.6)
        light = light + rng.uniform(0.08, 0.16) * unit_light(sersic(bar, 0.35 * scale, 0.5))
    return light


def edge_on(rng: Rng) -> Array:
    """Draw a disk seen edge-on: thin, with a small bulge and (mostly) a patchy dust lane."""
    frame = random_frame(rng)
    length = rng.uniform(6.0, 9.5)
    height = length * rng.uniform(0.2, 0.32)
    warp = rng.uniform(-0.0015, 0.0015) * frame.x * np.abs(frame.x)
    y = frame.y - warp
    disk = unit_light(np.exp(-np.abs(frame.x) / length) / np.cosh(y / height) ** 2)
    bulge_share = rng.uniform(0.05, 0.3)
    bulge = unit_light(sersic(frame.radius(rng.uniform(0.6, 0.9)), length * rng.uniform(0.3, 0.5), 1.6))
    light = bulge_share * bulge + (1.0 - bulge_share) * disk
    if rng.uniform() < 0.8:
        lane_height = max(0.4 * height, 0.7)
        offset = rng.uniform(-0.45, 0.45) * height
        lane = np.exp(-0.5 * ((y - offset) / lane_height) ** 2 - np.abs(frame.x) / (3.0 * length))
        patches = np.clip(1.0 + 0.4 * smooth_noise(rng, 1.5), 0.0, None)
        light = light * np.exp(-rng.uniform(2.0, 5.0) * lane * patches)
    return light


def irregular(rng: Rng) -> Array:
    """Draw an irregular galaxy: a faint lopsided body with clumps of young stars strewn over it."""
    frame = random_frame(rng, scatter=3.0)
    scale = rng.uniform(7.0, 11.0)
    bend = rng.uniform(-0.03, 0.03)
    body_frame = Frame(frame.x, frame.y + bend * frame.x**2)
    body = sersic(body_frame.radius(rng.uniform(0.4, 0.85)), scale, rng.uniform(0.5, 0.9))
    body = body * np.exp(rng.uniform(0.35, 0.75) * smooth_noise(rng, rng.uniform(2.0, 3.5)))
    body = body * np.exp(rng.uniform(0.0, 0.6) * np.tanh(frame.x / scale))

    clumps = np.zeros_like(body)
    heart_x, heart_y = rng.normal(0.0, 0.35 * scale, 2)
    for _ in range(int(rng.integers(6, 22))):
        x = heart_x + rng.normal(0.0, 0.65 * scale)
        y = heart_y + rng.normal(0.0, 0.45 * scale)
        clumps += rng.pareto(2.0) * gaussian_spot(frame, x, y - bend * x**2, rng.uniform(0.5, 1.5))
    clump_share = rng.uniform(0.15, 0.4)
    return (1.0 - clump_share) * unit_light(body) + clump_share * unit_light(clumps)


DRAWERS: dict[str, Callable[[Rng], Array]] = {
    "elliptical": elliptical,
    "lenticular": lenticular,
    "spiral": spiral,
    "edge-on": edge_on,
    "irregular": irregular,
}


def point_spread(rng: Rng) -> Array:
    """Return the Fourier transform of a Moffat point-spread function of random width, centred on the origin."""
    side = SIZE * OVERSAMPLING
    ticks = np.fft.fftfreq(side, 1.0 / side) / OVERSAMPLING
    beta = 3.0
    alpha = rng.uniform(1.2, 2.2) / (2.0 * np.sqrt(2.0 ** (1.0 / beta) - 1.0))
    moffat = (1.0 + (ticks[:, None] ** 2 + ticks[None, :] ** 2) / alpha**2) ** -beta
    return np.fft.rfft2(unit_light(moffat))


def neighbours(rng: Rng, sky_noise: float) -> Array:
    """Return foreground stars (single grid cells, blurred later) and small faint galaxies in the field."""
    side = SIZE * OVERSAMPLING
    field = np.zeros((side, side))
    for _ in range(rng.poisson(1.2)):
        row, column = rng.integers(0, side, 2)
        field[row, column] += 25.0 * sky_noise * (1.0 + rng.pareto(1.5)) * OVERSAMPLING**2
    for _ in range(rng.poisson(1.0)):
        frame = random_frame(rng, scatter=SIZE / 2)
        field += rng.uniform(2.0, 8.0) * sky_noise * sersic(frame.radius(rng.uniform(0.4, 1.0)), 1.2, 1.0)
    return field


def expose(rng: Rng, light: Array) -> Array:
    """Turn a map of light into a noisy, blurred, stretched grey image, as a telescope would deliver it."""
    sky_noise = np.hypot(np.sqrt(SKY_ELECTRONS), READ_NOISE)
    spread = point_spread(rng)

    def blur_and_bin(image: Array) -> Array:
        blurred = np.fft.irfft2(np.fft.rfft2(image) * spread, s=image.shape).clip(0.0)
        return blurred.reshape(SIZE, OVERSAMPLING, SIZE, OVERSAMPLING).mean(axis=(1, 3))

    galaxy = blur_and_bin(light)
    core = np.sort(galaxy, axis=None)[-int(CORE_FRACTION * galaxy.size) :].mean()
    signal_to_noise = np.exp(rng.uniform(np.log(10.0), np.log(50.0)))
    galaxy = galaxy * (signal_to_noise * sky_noise / core)
    expected = galaxy + blur_and_bin(neighbours(rng, sky_noise)) + SKY_ELECTRONS
    counts = rng.poisson(expected) + rng.normal(0.0, READ_NOISE, expected.shape)

    white = np.percentile(galaxy, 99.8) / sky_noise
    soft = rng.uniform(0.05, 0.2) * white
    value = (counts - SKY_ELECTRONS) / sky_noise + rng.uniform(1.5, 3.0)
    stretched = np.arcsinh(value / soft) / np.arcsinh(white / soft)
    return np.clip(255.0 * rng.uniform(0.85, 1.0) * stretched, 0.0, 255.0).astype(np.uint8)


def render(name: str, rng: Rng) -> Array:
    """Return one 64 x 64 grey image (uint8) of a galaxy of the named class."""
    return expose(rng, DRAWERS[name](rng))


def render_set(seed: int, stream: int, per_class: int) -> tuple[Array, Array]:
    """Return images (n, 64, 64, 1) and class numbers, the classes one after the other."""
    rng = np.random.default_rng([seed, stream])
    images = [render(name, rng) for name in CLASSES for _ in range(per_class)]
    return np.stack(images)[..., None], np.repeat(np.arange(len(CLASSES)), per_class)


def build_network() -> keras.Model:
    """Return the untrained network: five convolutions with pooling between, global pooling, softmax."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 1), name="image"),
            layers.Rescaling(1.0 / 255.0, name="rescaling"),
            layers.Conv2D(16, 5, padding="same", activation="relu", name="conv1"),
            layers.MaxPooling2D(name="pool1"),
            layers.Conv2D(24, 3, padding="same", activation="relu", name="conv2"),
            layers.MaxPooling2D(name="pool2"),
            layers.Conv2D(32, 3, padding="same", activation="relu", name="conv3"),
            layers.MaxPooling2D(name="pool3"),
            layers.Conv2D(48, 3, padding="same", activation="relu", name="conv4"),
            layers.MaxPooling2D(name="pool4"),
            layers.Conv2D(64, 3, padding="same", activation="relu", name="conv5"),
            layers.GlobalAveragePooling2D(name="pool"),
            layers.Dropout(DROPOUT, name="dropout"),
            layers.Dense(len(CLASSES), activation="softmax", name="classes"),
        ],
        name="galaxies",
    )


class TurnedBatches(keras.utils.PyDataset):
    """Shuffled batches; every image is mirrored and turned by a random multiple of 90 degrees each time."""

    def __init__(self, images: Array, labels: Array, rng: Rng) -> None:
        """Keep the images and labels and draw the first order."""
        super().__init__()
        self.images, self.labels, self.rng = images, labels, rng
        self.order = rng.permutation(len(images))

    def __len__(self) -> int:
        """Return the number of full batches."""
        return len(self.images) // BATCH

    def __getitem__(self, index: int) -> tuple[Array, Array]:
        """Return one batch of turned images and their labels."""
        chosen = self.order[index * BATCH : (index + 1) * BATCH]
        quarter_turns = self.rng.integers(0, 4, BATCH)
        mirrored = self.rng.integers(0, 2, BATCH).astype(bool)
        batch = [np.rot90(self.images[i], k) for i, k in zip(chosen, quarter_turns, strict=True)]
        batch = [image[:, ::-1] if flip else image for image, flip in zip(batch, mirrored, strict=True)]
        return np.stack(batch).astype(np.float32), self.labels[chosen]

    def on_epoch_end(self) -> None:
        """Draw a new order."""
        self.order = self.rng.permutation(len(self.images))


def train(network: keras.Model, seed: int) -> None:
    """Train the network in place; the validation renders only report progress, nothing is selected on them."""
    images, labels = render_set(seed, TRAIN_STREAM, TRAIN_PER_CLASS)
    validation = render_set(seed, VALIDATION_STREAM, VALIDATION_PER_CLASS)
    batches = TurnedBatches(images, labels, np.random.default_rng([seed, TRAIN_STREAM, 1]))
    schedule = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, EPOCHS * len(batches))
    network.compile(keras.optimizers.Adam(schedule), "sparse_categorical_crossentropy", metrics=["accuracy"])
    network.fit(batches, validation_data=validation, epochs=EPOCHS, shuffle=False, verbose=2)


def without_optimizer(network: keras.Model) -> keras.Model:
    """Return a fresh, never compiled copy of the network, so that only weights are saved."""
    copy = build_network()
    copy.set_weights(network.get_weights())
    return copy


def confusion_matrix(network: keras.Model, images: Array, labels: Array) -> Array:
    """Return counts, one row a true class, one column a predicted class."""
    predicted = network.predict(images.astype(np.float32), verbose=0).argmax(axis=1)
    matrix = np.zeros((len(CLASSES), len(CLASSES)), dtype=int)
    np.add.at(matrix, (labels, predicted), 1)
    return matrix


def report(matrix: Array) -> str:
    """Return the confusion matrix and the accuracy as text."""
    lines = ["rows: true class, columns: predicted class", " " * 12 + "".join(f"{name:>12}" for name in CLASSES)]
    for name, row in zip(CLASSES, matrix, strict=True):
        lines.append(f"{name:>12}" + "".join(f"{count:12d}" for count in row))
    lines.append(f"accuracy on {matrix.sum()} unseen renders: {np.trace(matrix) / matrix.sum():.4f}")
    return "\n".join(lines)


def write_samples(folder: Path, seed: int) -> None:
    """Write the first render of each class from the sample stream, and the class names."""
    images, _ = render_set(seed, SAMPLE_STREAM, 1)
    (folder / "galaxies").mkdir(parents=True, exist_ok=True)
    for name, image in zip(CLASSES, images, strict=True):
        Image.fromarray(image[..., 0]).save(folder / "galaxies" / f"{name}.png", optimize=True)
    (folder / "galaxies_classes.txt").write_text("\n".join(CLASSES) + "\n", encoding="utf-8")


def main() -> None:
    """Read the command line, render, train, measure and save."""
    parser = argparse.ArgumentParser(description="Render galaxies and train the sample network galaxies.keras.")
    parser.add_argument("--seed", type=int, default=0, help="seed of renders and training (default: 0)")
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).resolve().parent, help="folder to write to (default: this one)"
    )
    arguments = parser.parse_args()

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    keras.utils.set_random_seed(arguments.seed)
    arguments.output.mkdir(parents=True, exist_ok=True)

    network = build_network()
    network.summary()
    network.save(arguments.output / "galaxies_initial.keras")
    write_samples(arguments.output, arguments.seed)
    train(network, arguments.seed)
    without_optimizer(network).save(arguments.output / "galaxies.keras")
    print(report(confusion_matrix(network, *render_set(arguments.seed, TEST_STREAM, TEST_PER_CLASS))))


if __name__ == "__main__":
    main()
