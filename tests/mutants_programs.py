"""Faults in trainings, the command line and examples; see `mutant_list`."""

from mutant import Mutant

MUTANTS = (
    Mutant(
        name="backup_deleted_before_saving",
        fault="A backup deleted before the trained network has been saved.",
        file="tfcurv/training/folder.py",
        old="    save_whole(trained.model.save, folder / MODEL)\n",
        new="    shutil.rmtree(backup)\n"
        "    save_whole(trained.model.save, folder / MODEL)\n",
        tests=("tests/training/folder_test.py",),
    ),
    Mutant(
        name="other_training_continued",
        fault="A training that goes on with another one's weights.",
        file="tfcurv/training/folder.py",
        old="    _compare(folder, found, _as_json(config))\n",
        new="",
        tests=("tests/training/folder_test.py",),
    ),
    Mutant(
        name="earlier_parts_forgotten",
        fault="The time of a training without its parts before a kill.",
        file="tfcurv/training/backup.py",
        old='self.epochs, self.seconds = state["epochs"], state["seconds"]',
        new='self.epochs, self.seconds = state["epochs"], 0.0',
        tests=("tests/training/folder_test.py",),
    ),
    Mutant(
        name="report_saved_after_printing",
        fault="A report that a closed pipe loses.",
        file="tfcurv/cli/certify.py",
        old="        # First of all: what is written below may meet "
        "a closed pipe.\n",
        new="        options.write(str(result))\n",
        tests=("tests/cli_test.py::NothingIsLostTest",),
    ),
    Mutant(
        name="stored_shown_as_measured",
        fault="Figures from the shelf said to be measured by this command.",
        file="examples/results_page.py",
        old="        if key in new:\n",
        new="        if True:\n",
        tests=("tests/examples_reproduce_test.py::PlanTest",),
    ),
)
