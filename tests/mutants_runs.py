"""Faults in what makes a result of a model; see `mutant_list`."""

from mutant import Mutant

MUTANTS = (
    Mutant(
        name="positive_below_the_boundary",
        fault="No point far below zero taken for none below zero.",
        file="tfcurv/runs/integer_programs.py",
        old="return (answer if at_most == 0.0 else Answer.OPEN), None",
        new="return Answer.POSITIVE, None",
        tests=("tests/runs/integer_programs_test.py",),
    ),
    Mutant(
        name="counted_without_confidence",
        fault="The share of draws taken for the probability of a class.",
        file="tfcurv/runs/smooth.py",
        old="""bound = smoothing.probability_lower_bound(
                    hits, samples, failure_probability
                )""",
        new="bound = np.float64(hits / samples)",
        tests=("tests/runs/smooth_test.py::SmoothTest",),
    ),
    Mutant(
        name="chosen_and_counted_by_the_same_draws",
        fault="The class that leads by chance counted by what made it lead.",
        file="tfcurv/runs/smooth.py",
        old="hits = votes(x, draw, samples, 1).numpy()[top]",
        new="hits = votes(x, draw, samples, 0).numpy()[top]",
        tests=("tests/runs/smooth_test.py::SmoothTest",),
    ),
    Mutant(
        name="unsaved_example_said_to_be_saved",
        fault="A counter-example that a full disk took, said to be saved.",
        file="tfcurv/runs/falsify.py",
        old="        return errors.FalseCertificateError(**facts, path=None)",
        new="        pass",
        tests=("tests/runs/rigor_test.py::FalsifyTest",),
    ),
    Mutant(
        name="threat_left_unsaid",
        fault="A result in another norm attacked, and passed, in l2 balls.",
        file="tfcurv/runs/falsify.py",
        old="attacker = Attacker(subject, options, folder, threat)",
        new="attacker = Attacker(subject, options, folder)",
        tests=("tests/runs/methods_test.py::NamedMethodTest",),
    ),
)
