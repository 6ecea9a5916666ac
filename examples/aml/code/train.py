"""Fit a line to points by gradient descent, as one trial of an NNI experiment; needs nothing but Python."""

import argparse
import csv
import json
import os

import nni

POINTS = [(0.0, 1.1), (1.0, 2.9), (2.0, 5.2), (3.0, 6.8), (4.0, 9.1)]


def read_points(folder):
    with open(os.path.join(folder, "points.csv"), newline="") as file:
        return [(float(row["x"]), float(row["y"])) for row in csv.DictReader(file)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="a folder with points.csv, instead of the points in here")
    parser.add_argument("--model", help="the folder to write the model into")
    parser.add_argument("--epochs", type=int, default=20)
    args = parser.parse_args()
    points = read_points(args.data) if args.data else POINTS
    rate = nni.get_next_parameter()["rate"]
    slope = offset = loss = 0.0
    for _ in range(args.epochs):
        errors = [(slope * x + offset - y, x) for x, y in points]
        loss = sum(error * error for error, _ in errors) / len(points)
        slope -= rate * sum(error * x for error, x in errors) / len(points)
        offset -= rate * sum(error for error, _ in errors) / len(points)
        nni.report_intermediate_result(loss)
    if args.model:
        os.makedirs(args.model, exist_ok=True)
        with open(os.path.join(args.model, "line.json"), "w") as file:
            json.dump({"slope": slope, "offset": offset}, file)
    nni.report_final_result(loss)


main()
