"""Train a small residual colour network to tell from which photograph a 64 x 64 crop was cut.

The ten photographs come inside the scikit-image wheel and are marked there as public domain or CC0; nothing is
downloaded.  Each is first reduced to a long side of at most 640 pixels.  Its left three quarters give the training
crops; its right quarter is held out and gives the test crops.  The script writes, into ``--output``:

* ``photos.keras``        the trained network: a nested backbone with batch normalisation inside a classifier,
* ``photos_classes.txt``  the class names, in the order of the network's outputs,
* ``photos/<name>.jpg``   four of the photographs, made smaller.

The seed fixes the crops and the order of training.  Trained weights can still differ in their last digits between
machines and library versions.
"""

import argparse
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from PIL import Image
from skimage import data

PHOTOGRAPHS = (
    "astronaut",
    "brick",
    "camera",
    "chelsea",
    "coffee",
    "grass",
    "gravel",
    "hubble_deep_field",
    "retina",
    "rocket",
)
SHIPPED = ("astronaut", "chelsea", "coffee", "rocket")  # written to photos/
SHIPPED_LONG_SIDE = 320
JPEG_QUALITY = 88

SIZE = 64  # side of the network's input, in pixels
LONGEST_SIDE = 640  # larger photographs are made this small before any crop is cut
SMALLEST_CROP = 64  # smallest side of a crop, in pixels of the photograph
HELD_OUT = 0.25  # right-hand share of each photograph kept for the test
MIRRORED = 0.5  # probability that a crop is mirrored left to right
SQUEEZE = 1.25  # training crops are up to this many times wider than high, or higher than wide

# Training and test crops come from separate streams of random numbers.
TRAIN_STREAM, TEST_STREAM = 1, 2
TRAIN_PER_CLASS = 1200
TEST_PER_CLASS = 200

EPOCHS = 12
WARMUP_EPOCHS = 1
BATCH = 64
LEARNING_RATE = 0.1
WEIGHT_DECAY = 2e-4
STEM_WEIGHT_DECAY = 2e-3  # stronger, so that the first filters keep only what training put there
STEM_START = 0.01  # standard deviation of the first filters before training; small for the same reason
DROPOUT = 0.3
THREADS = 2

Rng = np.random.Generator
Array = np.ndarray


def load_photograph(name: str) -> Image.Image:
    """Return one bundled photograph as RGB, its long side at most ``LONGEST_SIDE``."""
    photograph = Image.fromarray(getattr(data, name)()).convert("RGB")
    photograph.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    return photograph


def split(photograph: Image.Image) -> tuple[Image.Image, Image.Image]:
    """Return the left part for training and the right part held out for the test."""
    width, height = photograph.size
    border = round(width * (1.0 - HELD_OUT))
    return photograph.crop((0, 0, border, height)), photograph.crop((border, 0, width, height))


def random_crop(photograph: Image.Image, rng: Rng, squeeze: float = 1.0) -> Array:
    """Return a crop of random place, size and handedness, resized to the network's input (uint8)."""
    largest = min(photograph.size)
    side = np.exp(rng.uniform(np.log(SMALLEST_CROP), np.log(largest)))
    ratio = np.exp(rng.uniform(-np.log(squeeze), np.log(squeeze)) / 2.0)
    width, height = min(side * ratio, photograph.width), min(side / ratio, photograph.height)
    left = rng.uniform(0.0, photograph.width - width)
    top = rng.uniform(0.0, photograph.height - height)
    box = (left, top, left + width, top + height)
    crop = np.asarray(photograph.resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=box))
    return crop[:, ::-1] if rng.uniform() < MIRRORED else crop


def crop_set(parts: list[Image.Image], per_class: int, rng: Rng, squeeze: float = 1.0) -> tuple[Array, Array]:
    """Return crops (n, 64, 64, 3) and class numbers, the classes one after the other."""
    crops = [random_crop(part, rng, squeeze) for part in parts for _ in range(per_class)]
    return np.stack(crops), np.repeat(np.arange(len(parts)), per_class)


def vary_colour(crops: Array, rng: Rng) -> Array:
    """Return the crops with contrast, brightness and white balance changed a little (float32, 0..255)."""
    count = len(crops)
    mean = crops.mean(axis=(1, 2, 3), keepdims=True)
    contrast = np.exp(rng.normal(0.0, 0.15, (count, 1, 1, 1))).astype(np.float32)
    gain = np.exp(rng.normal(0.0, 0.15, (count, 1, 1, 1)) + rng.normal(0.0, 0.06, (count, 1, 1, 3))).astype(np.float32)
    return np.clip((mean + (crops - mean) * contrast) * gain, 0.0, 255.0)


class VariedBatches(keras.utils.PyDataset):
    """Shuffled batches; every crop is mirrored at random and its colours are varied anew each time."""

    def __init__(self, crops: Array, labels: Array, rng: Rng) -> None:
        """Keep the crops and labels and draw the first order."""
        super().__init__()
        self.crops, self.labels, self.rng = crops, labels, rng
        self.order = rng.permutation(len(crops))

    def __len__(self) -> int:
        """Return the number of full batches."""
        return len(self.crops) // BATCH

    def __getitem__(self, index: int) -> tuple[Array, Array]:
        """Return one batch of varied crops and their labels."""
        chosen = self.order[index * BATCH : (index + 1) * BATCH]
        crops = self.crops[chosen].astype(np.float32)
        mirrored = self.rng.uniform(size=BATCH) < MIRRORED
        crops[mirrored] = crops[mirrored, :, ::-1]
        return vary_colour(crops, self.rng), self.labels[chosen]

    def on_epoch_end(self) -> None:
        """Draw a new order."""
        self.order = self.rng.permutation(len(self.crops))


def convolution(filters: int, size: int, strides: int, name: str) -> keras.layers.Conv2D:
    """Return a convolution without bias (the batch normalisation after it has one)."""
    return keras.layers.Conv2D(
        filters,
        size,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        kernel_regularizer=keras.regularizers.L2(WEIGHT_DECAY),
        name=name,
    )


def normalisation(name: str) -> keras.layers.BatchNormalization:
    """Return a batch normalisation whose averages follow short trainings."""
    return keras.layers.BatchNormalization(momentum=0.95, name=name)


def residual_block(x: keras.KerasTensor, filters: int, strides: int, name: str) -> keras.KerasTensor:
    """Add two convolutions and a shortcut, the shortcut projected by a 1 x 1 convolution where shapes differ."""
    layers = keras.layers
    y = convolution(filters, 3, strides, f"{name}_conv1")(x)
    y = normalisation(f"{name}_bn1")(y)
    y = layers.ReLU(name=f"{name}_relu1")(y)
    y = convolution(filters, 3, 1, f"{name}_conv2")(y)
    y = normalisation(f"{name}_bn2")(y)
    if strides != 1 or x.shape[-1] != filters:
        x = convolution(filters, 1, strides, f"{name}_shortcut")(x)
        x = normalisation(f"{name}_shortcut_bn")(x)
    y = layers.Add(name=f"{name}_add")([y, x])
    return layers.ReLU(name=f"{name}_relu2")(y)


def build_backbone() -> keras.Model:
    """Return the residual feature extractor: 64 x 64 x 3 in, 8 x 8 x 64 out."""
    layers = keras.layers
    inputs = keras.Input((SIZE, SIZE, 3), name="pixels")
    x = layers.Conv2D(
        24,
        7,
        strides=2,
        padding="same",
        use_bias=False,
        kernel_initializer=keras.initializers.RandomNormal(stddev=STEM_START),
        kernel_regularizer=keras.regularizers.L2(STEM_WEIGHT_DECAY),
        name="stem_conv",
    )(inputs)
    x = normalisation("stem_bn")(x)
    x = layers.ReLU(name="stem_relu")(x)
    x = layers.MaxPooling2D(3, strides=2, padding="same", name="stem_pool")(x)
    x = residual_block(x, 24, 1, "block1")
    x = residual_block(x, 48, 2, "block2")
    x = residual_block(x, 64, 1, "block3")
    return keras.Model(inputs, x, name="backbone")


def build_network() -> keras.Model:
    """Return the untrained classifier with the backbone nested inside it."""
    layers = keras.layers
    inputs = keras.Input((SIZE, SIZE, 3), name="image")
    x = layers.Rescaling(1.0 / 255.0, name="rescaling")(inputs)
    x = build_backbone()(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dropout(DROPOUT, name="dropout")(x)
    outputs = layers.Dense(len(PHOTOGRAPHS), activation="softmax", name="classes")(x)
    return keras.Model(inputs, outputs, name="photos")


def train(network: keras.Model, parts: list[Image.Image], seed: int) -> None:
    """Train the network in place for a fixed number of epochs."""
    rng = np.random.default_rng([seed, TRAIN_STREAM])
    batches = VariedBatches(*crop_set(parts, TRAIN_PER_CLASS, rng, SQUEEZE), rng)
    warmup = WARMUP_EPOCHS * len(batches)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, EPOCHS * len(batches) - warmup, warmup_target=LEARNING_RATE, warmup_steps=warmup
    )
    optimizer = keras.optimizers.SGD(schedule, momentum=0.9, nesterov=True)
    network.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    network.fit(batches, epochs=EPOCHS, shuffle=False, verbose=2)


def without_optimizer(network: keras.Model) -> keras.Model:
    """Return a fresh, never compiled copy of the network, so that only weights are saved."""
    copy = build_network()
    copy.set_weights(network.get_weights())
    return copy


def report(network: keras.Model, crops: Array, labels: Array) -> str:
    """Return the accuracy on the given crops, for each class and in all, as text."""
    predicted = network.predict(crops.astype(np.float32), verbose=0).argmax(axis=1)
    right = predicted == labels
    lines = []
    for number, name in enumerate(PHOTOGRAPHS):
        guesses = np.bincount(predicted[labels == number], minlength=len(PHOTOGRAPHS))
        lines.append(f"{name:>18} {right[labels == number].mean():7.3f}   " + " ".join(f"{n:4d}" for n in guesses))
    lines.append(f"accuracy on {len(labels)} held-out crops: {right.mean():.4f}")
    return "\n".join(lines)


def write_photographs(folder: Path) -> None:
    """Write four of the photographs, made smaller, and the class names."""
    (folder / "photos").mkdir(parents=True, exist_ok=True)
    for name in SHIPPED:
        photograph = load_photograph(name)
        photograph.thumbnail((SHIPPED_LONG_SIDE, SHIPPED_LONG_SIDE), Image.Resampling.LANCZOS)
        photograph.save(folder / "photos" / f"{name}.jpg", quality=JPEG_QUALITY, optimize=True)
    (folder / "photos_classes.txt").write_text("\n".join(PHOTOGRAPHS) + "\n", encoding="utf-8")


def main() -> None:
    """Read the command line, train, measure and save."""
    parser = argparse.ArgumentParser(description="Train the sample network photos.keras on scikit-image photographs.")
    parser.add_argument("--seed", type=int, default=0, help="seed of crops and training (default: 0)")
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).resolve().parent, help="folder to write to (default: this one)"
    )
    arguments = parser.parse_args()

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    keras.utils.set_random_seed(arguments.seed)
    arguments.output.mkdir(parents=True, exist_ok=True)

    write_photographs(arguments.output)
    parts = [split(load_photograph(name)) for name in PHOTOGRAPHS]
    network = build_network()
    network.summary(expand_nested=True)
    train(network, [left for left, _ in parts], arguments.seed)
    without_optimizer(network).save(arguments.output / "photos.keras")
    rng = np.random.default_rng([arguments.seed, TEST_STREAM])
    print(report(network, *crop_set([right for _, right in parts], TEST_PER_CLASS, rng)))


if __name__ == "__main__":
    main()
