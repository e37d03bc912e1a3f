"""Faults in what makes a result of a model; see `mutant_list`."""

from mutant import Mutant

MUTANTS = (
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
