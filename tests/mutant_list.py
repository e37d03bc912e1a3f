"""The faults that tests/mutants.py plants, and the tests that must catch them.

Each stands for a fault that tools of the field have been seen to have, or
that this library would have if one term of a derivation were left out, one
comparison turned round, one refusal forgotten. Not here are terms that no
input can be shown to need: where one part of a proof hides another's loss,
its absence is no fault.

[SF20]: Singla and Feizi, "Second-Order Provable Defenses against Adversarial
Attacks", ICML 2020.
"""

from mutant import Mutant as Mutant
import mutants_bounds
import mutants_certificates
import mutants_ground
import mutants_networks
import mutants_nn
import mutants_programs
import mutants_properties
import mutants_results
import mutants_runs

# Ground floor first.
MUTANTS = (
    *mutants_ground.MUTANTS,
    *mutants_networks.MUTANTS,
    *mutants_bounds.MUTANTS,
    *mutants_certificates.MUTANTS,
    *mutants_properties.MUTANTS,
    *mutants_results.MUTANTS,
    *mutants_nn.MUTANTS,
    *mutants_runs.MUTANTS,
    *mutants_programs.MUTANTS,
)
