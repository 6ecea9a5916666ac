"""Train a small neural network on scikit-learn's handwritten digits, as one trial of an NNI experiment."""

import argparse
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
    parser.add_argument("--lr", type=float, default=0.01, help="learning rate (default: 0.01)")
    parser.add_argument("--hidden_size", type=int, default=32, help="units of the hidden layer (default: 32)")
    parser.add_argument("--activation", default="relu", choices=["relu", "tanh", "logistic"])
    parser.add_argument("--batch_size", type=int, default=32, help="(default: 32)")
    parser.add_argument("--alpha", type=float, default=0.0001, help="L2 penalty (default: 0.0001)")
    parser.add_argument("--epochs", type=int, default=15, help="(default: 15)")
    parser.add_argument("--seed", type=int, default=1, help="(default: 1)")
    return parser.parse_args()


def load_data():
    data, target = load_digits(return_X_y=True)
    return train_test_split(data / 16.0, target, test_size=0.3, random_state=0, stratify=target)


def main(args):
    x_train, x_test, y_train, y_test = load_data()
    model = MLPClassifier(
        hidden_layer_sizes=(args.hidden_size,),
        activation=args.activation,
        solver="sgd",
        learning_rate_init=args.lr,
        batch_size=args.batch_size,
        alpha=args.alpha,
        random_state=args.seed,
    )
    order = np.random.RandomState(args.seed)
    accuracy = 0.0
    for epoch in range(args.epochs):
        rows = order.permutation(len(x_train))
        model.partial_fit(x_train[rows], y_train[rows], classes=CLASSES)
        accuracy = model.score(x_test, y_test)
        nni.report_intermediate_result(accuracy)
        print(f"epoch {epoch + 1}: loss {model.loss_:.4f}, accuracy {accuracy:.4f}")
    nni.report_final_result({"default": accuracy, "loss": model.loss_})


if __name__ == "__main__":
    warnings.filterwarnings("ignore", module="sklearn")
    params = get_args()
    merge_parameter(params, nni.get_next_parameter())
    main(params)
