"""Train a small neural network on scikit-learn's handwritten digits for one step of population based training."""

import argparse
import os
import warnings

import nni
import numpy as np
from nni.utils import merge_parameter
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

CLASSES = np.arange(10)


def get_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lr", type=float, default=0.05, help="learning rate (default: 0.05)")
    parser.add_argument("--alpha", type=float, default=0.0001, help="L2 penalty (default: 0.0001)")
    parser.add_argument("--batch_size", type=int, default=32, help="(default: 32)")
    parser.add_argument("--epochs", type=int, default=2, help="length of a step (default: 2)")
    parser.add_argument("--load_checkpoint_dir", default="checkpoint", help="folder of the weights to start from")
    parser.add_argument("--save_checkpoint_dir", default="checkpoint", help="folder to leave the weights in")
    return parser.parse_args()


def load_data():
    data, target = load_digits(return_X_y=True)
    return train_test_split(data / 16.0, target, test_size=0.3, random_state=0, stratify=target)


def load_checkpoint(folder):
    """Return the weights, None if the first trial of all failed, and for how many epochs they were trained."""
    try:
        with np.load(os.path.join(folder, "weights.npz")) as file:
            return [file[f"array_{number}"] for number in range(len(file.files) - 1)], int(file["epochs"])
    except FileNotFoundError:
        return None, 0


def save_checkpoint(folder, weights, epochs):
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "weights.npz")
    with open(path + ".part", "wb") as file:  # so that a killed trial leaves no half checkpoint
        np.savez(file, epochs=epochs, **{f"array_{number}": array for number, array in enumerate(weights)})
    os.replace(path + ".part", path)


def main(args):
    x_train, x_test, y_train, y_test = load_data()
    model = MLPClassifier(
        hidden_layer_sizes=(32,),
        solver="sgd",
        momentum=0.0,
        learning_rate_init=args.lr,
        batch_size=args.batch_size,
        alpha=args.alpha,
        random_state=1,
    )
    result, weights, epochs = {}, None, 0
    if args.load_checkpoint_dir != args.save_checkpoint_dir:  # they are the same in the first generation
        weights, epochs = load_checkpoint(args.load_checkpoint_dir)
    if weights:
        model.partial_fit(x_train[:256], y_train[:256], classes=CLASSES)  # makes the layers, which are filled next
        model.coefs_, model.intercepts_ = weights[:2], weights[2:]
        result["start"] = model.score(x_test, y_test)
        print(f"{args.load_checkpoint_dir}: trained for {epochs} epochs, accuracy {result['start']:.4f}")
    for epoch in range(epochs + 1, epochs + args.epochs + 1):
        rows = np.random.RandomState(epoch).permutation(len(x_train))
        model.partial_fit(x_train[rows], y_train[rows], classes=CLASSES)
        accuracy = model.score(x_test, y_test)
        nni.report_intermediate_result(accuracy)
        print(f"epoch {epoch}: loss {model.loss_:.4f}, accuracy {accuracy:.4f}")
    save_checkpoint(args.save_checkpoint_dir, model.coefs_ + model.intercepts_, epoch)
    nni.report_final_result({"default": accuracy, "loss": model.loss_, "epochs": epoch, **result})


if __name__ == "__main__":
    warnings.filterwarnings("ignore", module="sklearn")
    params = get_args()
    merge_parameter(params, nni.get_next_parameter())
    main(params)
