"""The columns and notes of the tables of docs/results.md."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import statistics
from typing import Any

from published import Row

Runs = Sequence[Mapping[str, Any]]
Column = tuple[str, Callable[[Row, Runs], str]]


def _several(values: Sequence[float], form: str) -> str:
    if not values:
        return "-"
    mean = format(statistics.fmean(values), form)
    if len(values) == 1:
        return mean
    return f"{mean} [{min(values):{form}}, {max(values):{form}}]"


def _figure(run: Mapping[str, Any], path: Sequence[str]) -> float | None:
    """Returns a figure that a run has measured; None if it has not."""
    part, *keys = path
    found = run["parts"].get(part, {}).get("found", {})
    for key in keys:
        found = found.get(key, {})
    return found if isinstance(found, (int, float)) else None


def _measured(*path: str, scale: float = 100.0, form: str = ".2f"):
    def show(row: Row, runs: Runs) -> str:
        del row
        values = [_figure(run, path) for run in runs]
        return _several([scale * v for v in values if v is not None], form)

    return show


def _radius(*path: str):
    return _measured(*path, scale=1.0, form=".4f")


def _number(*path: str):
    return _measured(*path, scale=1.0, form=".4g")


def _length(part: str, key: str):
    def show(row: Row, runs: Runs) -> str:
        del row
        return _several([len(each) for each in _lists(runs, part, key)], ".0f")

    return show


def _mean(part: str, key: str):
    def show(row: Row, runs: Runs) -> str:
        del row
        means = [statistics.fmean(each) for each in _lists(runs, part, key)]
        return _several(means, ".4f")

    return show


def _lists(runs: Runs, part: str, key: str) -> list[list[float]]:
    parts = [run["parts"][part] for run in runs if part in run["parts"]]
    return [each["found"][key] for each in parts]


def _printed(*names: str):
    def show(row: Row, runs: Runs) -> str:
        del runs
        figures = [row.paper.get(name) for name in names]
        return " / ".join("-" if f is None else f"{f:g}" for f in figures)

    return show


def _seconds(row: Row, runs: Runs) -> str:
    del row
    return _several([run["training"]["seconds"] for run in runs], ".0f")


def _ratios(row: Row, runs: Runs) -> str:
    del row
    for run in runs:
        part = run["parts"].get("curvature")
        if part is not None:
            ratios = part["found"]["layer_ratio_estimate"]
            return ", ".join(f"{ratio:.1f}" for ratio in ratios)
    return "-"


_ROBUST: tuple[Column, ...] = (
    ("paper: clean / certified", _printed("clean", "certified")),
    ("clean", _measured("all", "clean")),
    ("runner-up", _measured("runner_up", "certified")),
    ("all", _measured("all", "certified")),
    ("attacked", _measured("all", "attacked")),
    ("exact", _measured("all", "exact")),
    ("first 1,000, K of Theorem 4", _measured("theorem4", "all, theorem 4")),
    ("first 1,000, own K", _measured("theorem4", "all, signed")),
    ("training, s", _seconds),
)

_TRAINED: tuple[Column, ...] = (
    ("clean", _measured("all", "clean")),
    ("runner-up", _measured("runner_up", "certified")),
    ("mean of 150", _radius("runner_up", "radius_of_sample")),
    ("all", _measured("all", "certified")),
    ("mean, all", _radius("all", "radius")),
    ("attacked", _measured("all", "attacked")),
    ("first 50: mean CRC", _radius("lines", "curvature")),
    ("CROWN", _radius("lines", "crown")),
    ("attacked at", _radius("lines", "attacked")),
)

_CERTIFIED: tuple[Column, ...] = (
    (
        "paper: clean / PGD / verified",
        _printed("clean", "attacked", "certified"),
    ),
    ("clean", _measured("rules", "clean")),
    ("attacked", _measured("rules", "attacked")),
    ("verified: BCP", _measured("rules", "bcp")),
    ("by Lipschitz constants", _measured("rules", "lipschitz")),
    ("by IBP", _measured("rules", "ibp")),
    ("training, s", _seconds),
)

_DENSE: tuple[Column, ...] = (
    *_CERTIFIED[1:],
    ("first 300: BCP", _measured("auto", "bcp")),
    ("first 300: auto", _measured("auto", "certified")),
    ("first 300: attacked", _measured("auto", "attacked")),
)

_LINES: tuple[Column, ...] = (
    ("paper: clean / certified", _printed("clean", "certified")),
    ("clean", _measured("line_rules", "clean")),
    ("attacked", _measured("line_rules", "attacked")),
    ("certified: CROWN-IBP", _measured("line_rules", "crown-ibp")),
    ("COAP", _measured("line_rules", "coap")),
    ("training, s", _seconds),
    ("first 300: auto", _measured("auto", "certified")),
    ("first 300: attacked", _measured("auto", "attacked")),
)


def _by_steps(part: str) -> tuple[Column, ...]:
    seconds = _measured(part, "complete, seconds", scale=1, form=".0f")
    return (
        ("paper: clean / certified", _printed("clean", "certified")),
        ("clean", _measured(part, "clean")),
        ("attacked", _measured(part, "attacked")),
        ("certified: IBP", _measured(part, "ibp")),
        ("zonotope", _measured(part, "zonotope")),
        ("CROWN", _measured(part, "crown")),
        ("complete", _measured(part, "complete")),
        ("complete, s", seconds),
        ("training, s", _seconds),
    )


_TIGHTNESS: tuple[Column, ...] = (
    ("paper: ball and box / ball", _printed("ratio")),
    ("ball and box / ball", _measured("tightness", "bcp")),
    ("5 % of images below", _measured("tightness", "bcp, least")),
    ("95 % below", _measured("tightness", "bcp, most")),
    ("box / ball", _measured("tightness", "ibp")),
)

_CURVE: tuple[Column, ...] = (
    ("images", _length("curve", "certified")),
    ("mean radius, all images", _mean("curve", "certified")),
)

#: By the name of the table: headers, and what is shown of a row and its runs.
COLUMNS: Mapping[str, tuple[Column, ...]] = {
    "2": (
        (
            "paper: clean / attack / certificate",
            _printed("clean", "attack", "certificate"),
        ),
        ("clean", _measured("all", "clean")),
        ("attack", _measured("duality", "attack")),
        ("certificate", _measured("duality", "certificate")),
        ("certificate, all", _measured("all", "exact")),
        ("attack, Theorem 4", _measured("duality_theorem4", "attack")),
        (
            "certificate, Theorem 4",
            _measured("duality_theorem4", "certificate"),
        ),
    ),
    "3": _ROBUST,
    "4": _ROBUST,
    "3-lines": _LINES,
    "4-lines": _LINES,
    "adversaries": (
        (
            "paper: clean / PGD / certified",
            _printed("clean", "attacked", "certified"),
        ),
        ("paper: mean CRC / CROWN", _printed("radius", "crown")),
        *_TRAINED,
    ),
    "5": (
        ("paper: clean / certified", _printed("clean", "certified")),
        ("paper: mean CRC / CROWN", _printed("radius", "crown")),
        *_TRAINED,
    ),
    "6": (
        ("paper: radius, global / local", _printed("radius", "local")),
        ("runner-up, global", _radius("local", "runner-up, global", "radius")),
        ("runner-up, local", _radius("local", "runner-up, local", "radius")),
        ("all, global", _radius("local", "all, global", "radius")),
        ("all, local", _radius("local", "all, local", "radius")),
        (
            "paper: certified at 0.5, global / local",
            _printed("certified", "certified_local"),
        ),
        ("all, global", _measured("local", "all, global", "certified")),
        ("all, local", _measured("local", "all, local", "certified")),
        ("attacked", _measured("local", "all, local", "attacked")),
    ),
    "convolution": (
        ("clean", _measured("both", "clean")),
        ("certified at 0.5", _measured("both", "certified 0.5")),
        ("attacked", _measured("both", "attacked 0.5")),
        ("certified at 1.58", _measured("both", "certified 1.58")),
        ("attacked", _measured("both", "attacked 1.58")),
        ("certifying, s", _measured("both", "seconds", scale=1, form=".0f")),
        ("training, s", _seconds),
    ),
    "cifar10": _ROBUST[1:-3] + _ROBUST[-1:],
    "slides": (
        ("paper: clean / certified", _printed("clean", "certified")),
        ("paper: mean CRC / CNN-Cert", _printed("radius", "crown")),
        *_TRAINED,
    ),
    "bcp1": _CERTIFIED,
    "bcp2": _CERTIFIED,
    "bcp-dense": _DENSE,
    "bcp-figure2": (
        ("image", _number("plane", "image")),
        ("label", _number("plane", "label")),
        ("runner-up", _number("plane", "rival")),
    ),
    "bcp-figure3": _TIGHTNESS,
    "bcp-figure3-cifar10": _TIGHTNESS,
    "bcp-figure4": _CURVE,
    "bcp-figure4-cifar10": _CURVE,
    "colt-mnist": _by_steps("first_steps"),
    "colt1": _by_steps("first_steps"),
    "colt2": _by_steps("first_steps"),
    "figure1": (
        ("pairs", _number("curvature", "pairs")),
        ("K_lb", _number("curvature", "k_lb_estimate")),
        ("K_ub, Theorem 4", _number("curvature", "k_ub_bound")),
        ("K_ub, signed", _number("curvature", "convexity_bound")),
        ("signed / attained, by layer", _ratios),
    ),
}

#: What cannot be seen from the figures.
NOTES = {
    "2": "Attack: the share of correct images whose worst point within 0.5 "
    "was found and proved to be it; certificate: of those with a point of the "
    "other class as far away as the certificate reaches, and in the next "
    "column of any other class. The last two columns are those of the first "
    "1,000 images with the bound of Theorem 4 in place of tfcurv's own: for "
    "the plain network of two layers they come down to about the paper's: it "
    "is the size of the bound that decides whether primal and dual meet. With "
    "a penalty they stay above the paper's; whether by the training or by a "
    "search that ends only when it has converged was not measured.",
    "3": "The two columns before the time certify the first 1,000 images "
    "against all classes, with the bound of Theorem 4 and with tfcurv's own. "
    "For three and four layers Theorem 4 is what the paper certifies with: on "
    "the same networks it certifies so much less that the sharper bounds "
    "account for all that is gained. Two layers are certified by Theorem 3 "
    "there, too, which is the column of the own K; what is gained there comes "
    "with the training.",
    "4": "Columns as in Table 3. The penalties of the paper leave more clean "
    "accuracy here than there and, for two and three layers, certify less by "
    "its protocol: they weigh less here. For two layers, of 0.01, 0.02, 0.04 "
    "and 0.08 the largest certifies most of the validation images.",
    "5": "Penalised and robust networks are certified as far as they are "
    "attacked, so that their figures are those of the training: where they "
    "fall short of the paper's, an adversarial example really found says so. "
    "Plain networks of three and four layers are not: there the bounds are "
    "what is missing, as in the paper. The last three columns are of the first "
    "50 test images, mean radii of those that are right, and of networks "
    "trained once more by the same recipes: as in the paper linear bounds "
    "prove more than curvature of plain networks of three and four layers, and "
    "less of all others. CROWN is 1.2 to 1.7 times the paper's: its lines have "
    "nearly the least area around each activation here.",
    "6": "The first 1,000 test images. Radii grow as in the paper, most for "
    "networks of much curvature. The shares at 0.5 do not: they are those of "
    "the attacks already with the global bound, which leaves nothing to gain.",
    "convolution": "At 1.58 the dense network is better. Both are certified "
    "nearly as far as they are attacked, so it is the network that is less "
    "robust, not the certificate that is looser. At 0.5 all are within 0.2 "
    "points of each other, and the convolution trained there is right more "
    "often on clean images.",
    "cifar10": "At this radius Box Constraint Propagation is reported with "
    "51.30 % (Lee, Lee and Park, NeurIPS 2020), for deeper convolutional "
    "networks trained for 200 epochs.",
    "3-lines": "COAP bounds every neuron: a step of three layers takes ten "
    "seconds on two cores without random projections. Nothing of the rows that "
    "are empty has been trained.",
    "adversaries": "The paper's figures are those of its earlier "
    "version, Curvature-based Robustness Certificates against Adversarial "
    "Examples (2019), whose settings of PGD and TRADES are not known; here "
    "both take seven steps, and beta is 6.",
    "slides": "The authors' slides on the paper do not say which convolution "
    "they are about: here it has 16 filters of 5 x 5 with steps of 2. "
    "Certified is attacked, so that the shares are those of the networks: "
    "here the same gamma leaves more clean accuracy, and less that is robust. "
    "CROWN on a convolution is what CNN-Cert is; the last three columns are of "
    "the first 50 test images.",
    "figure1": "K_lb is the mean over pairs of classes of the largest "
    "eigenvalue found at the first 1,000 test images, K_ub the mean of the "
    "bounds over the same pairs: of Theorem 4, which training penalises, and "
    "of the signed forms, which certify. The last column holds, for each "
    "hidden layer, the proved over the attained size of the negative part.",
    "bcp1": "BCP: box constraint propagation, LMT: Lipschitz-margin training, "
    "IBP: interval bound propagation. Each network is certified in three ways, "
    "so that what training brings can be told from what the certificate does; "
    "the paper's figure is that of its training. The paper trains for 60 "
    "epochs, here it is 22, in 15 of which epsilon rises; the norm of each "
    "layer is followed by twenty steps of power iteration a batch, where the "
    "paper takes one. Norms are estimates there and proved "
    "here. Its attack is PGD; attacked is as above. No network is trained by "
    "IBP at 1.58: a box of that half width holds every image.",
    "bcp2": "As before, but for ramps and drops, which are at the paper's "
    "shares; it trains for 200 epochs, here it is 24, and 130 in the last row. "
    "That row is none of the paper's: the absolute value in the place of ReLU, "
    "which keeps the length of gradients, so that a network of small norms "
    "loses less.",
    "bcp-dense": "Trained as the networks of BCP on MNIST are. By auto each "
    "image has the largest proof: with softplus of the curvature, with ReLU of "
    "a quadratic bound; of the first 300 images it proves all that attacks "
    "leave. Table 3 has CRT on the same layers, with softplus and at the same "
    "radius, which certifies far more: what BCP keeps small is the product of "
    "the norms, a cruder measure of what a network may do within epsilon.",
    "bcp-figure2": "Of the first test image that is right: where the logits of "
    "its label and of the runner-up can be while the image moves by 1.58, by "
    "the ball alone, the box alone, and both. Above the grey line the "
    "runner-up would be larger: an outline below it is a proof against it.",
    "bcp-figure3": "How far logits can rise over others, mean over pairs of "
    "classes, relative to what the ball alone says, in percent; of the first "
    "200 test images. The paper's is of its own networks, by the ball and the "
    "box that it calls tightness.",
    "colt-mnist": "The first 1,000 test images. COLT is layerwise adversarial "
    "training; its certificate is complete: lines, then branch and bound, all "
    "of it proved in float64. No column rests on a solver. Of the network that "
    "the paper's authors released for this radius, of the same layers, "
    "complete proves 97.51 of all images: see README.",
    "colt1": "The first 1,000 test images, as in the paper. Its rows of IBP "
    "and CROWN-IBP are the best of their papers, on other layers.",
    "bcp-figure4": "Of the first 1,000 test images, all certified by ball and "
    "box; misclassified ones have the radius zero.",
}
