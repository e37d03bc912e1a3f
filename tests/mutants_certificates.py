"""Faults in proofs, searches, attacks and results; see `mutant_list`."""

from mutant import Mutant

MUTANTS = (
    Mutant(
        name="a_switch_that_is_free",
        fault="Integer programmes whose neurons may be on and off at once.",
        file="tfcurv/certificates/integer/program.py",
        old="add(value[bent] - _scaled(switch, high), -nothing, 0.0 * low)",
        new="add(value[bent] - _scaled(switch, high), -nothing, high)",
        tests=("tests/certificates/integer/program_test.py",),
    ),
    Mutant(
        name="a_programme_around_zero",
        fault="Deviations of an integer programme taken for values.",
        file="tfcurv/certificates/integer/program.py",
        old="constant = constant - found @ self._known[atom].value",
        new="constant = constant - 0.0 * found @ self._known[atom].value",
        tests=("tests/certificates/integer/program_test.py",),
    ),
    Mutant(
        name="branches_of_one_sign",
        fault="A split whose two branches are the same one.",
        file="tfcurv/certificates/complete/search.py",
        old="for sign in (1, -1):",
        new="for sign in (1, 1):",
        tests=("tests/certificates/complete/search_test.py::SearchTest",),
    ),
    Mutant(
        name="stuck_margin_taken_for_proved",
        fault="A margin that cannot be split, whose branches are forgotten.",
        file="tfcurv/certificates/complete/search.py",
        old="            self._give_up(np.unique(last.point))\n",
        new="",
        tests=("tests/certificates/complete/search_test.py::SearchTest",),
    ),
    Mutant(
        name="search_in_float32_believed",
        fault="Branches closed by what float32 has found, without a proof.",
        file="tfcurv/certificates/complete/search.py",
        old="            bounds[rows] = proof\n",
        new="",
        tests=("tests/certificates/complete/search_test.py::SearchTest",),
    ),
    Mutant(
        name="unfinished_margin_taken_for_proved",
        fault="A margin that ran out of branches taken for proved.",
        file="tfcurv/certificates/complete/search.py",
        old="~(is_open | self._failed)",
        new="~is_open",
        tests=("tests/certificates/complete/search_test.py::SearchTest",),
    ),
    Mutant(
        name="multiplier_of_the_wrong_sign",
        fault="Multipliers that take off what may be negative in a branch.",
        file="tfcurv/certificates/complete/duals.py",
        old="pushes[position] = sign * forces[:, first:last]",
        new="pushes[position] = forces[:, first:last]",
        tests=("tests/certificates/complete/search_test.py::BoundTest",),
    ),
    Mutant(
        name="minority_with_a_radius",
        fault="Radii of classes that need not be the majority.",
        file="tfcurv/certificates/smoothing.py",
        old="majority = (probability > 0.5) & np.isfinite(quantile)",
        new="majority = np.isfinite(quantile)",
        tests=("tests/runs/smooth_test.py::ProbabilityTest",),
    ),
    Mutant(
        name="unproved_said_to_be_proved",
        fault="Images that nothing is proved of counted as a method's.",
        file="tfcurv/certificates/deciding/decider.py",
        old="np.where(proved, method, np.int32(NO_METHOD))",
        new="method",
        tests=("tests/runs/methods_test.py::NewMethodTest",),
    ),
    Mutant(
        name="another_method_takes_all_credit",
        fault="Radii said to be proved by the method that was asked last.",
        file="tfcurv/certificates/deciding/decider.py",
        old="np.where(is_more, method, self.method[rows])",
        new="np.where(is_more | True, method, self.method[rows])",
        tests=("tests/certificates/portfolio_test.py::PortfolioTest",),
    ),
    Mutant(
        name="the_last_method_is_believed",
        fault="Smaller radii, and NaN, taken from another method.",
        file="tfcurv/certificates/deciding/decider.py",
        old="np.where(is_more, radii, self.radii[rows])",
        new="radii",
        tests=("tests/certificates/portfolio_test.py::PortfolioTest",),
    ),
    Mutant(
        name="a_search_believes_its_upper_end",
        fault="The radius at which a margin was lost taken for proved.",
        file="tfcurv/certificates/interval/largest_radii.py",
        old="held = rivals[rows] & (margins > 0.0)",
        new="held = rivals[rows]",
        tests=("tests/certificates/interval/method_test.py::HostileTest",),
    ),
    Mutant(
        name="balls_in_boxes",
        fault="What holds in an l2 ball claimed for the box around it.",
        file="tfcurv/certificates/interval/method.py",
        old="radii = numerics.round_down(radii / root, 1)",
        new="radii = numerics.round_down(radii, 1)",
        tests=("tests/certificates/interval/method_test.py::LinearTest",),
    ),
    Mutant(
        name="constants_are_forgotten",
        fault="What was known before the search lost where it ends below.",
        file="tfcurv/certificates/interval/largest_radii.py",
        old="found[part] = np.maximum(",
        new="found[part] = np.minimum(",
        tests=("tests/certificates/interval/method_test.py::HostileTest",),
    ),
    Mutant(
        name="a_look_answers_the_question",
        fault="A single question answered in float32, and never proved.",
        file="tfcurv/certificates/interval/largest_radii.py",
        old="            found[part], _proved(prove, *few, least[part], goals)",
        new="            found[part], np.where(few[2], goals[0][:, None], 0.0)",
        tests=("tests/certificates/interval/method_test.py::HostileTest",),
    ),
    Mutant(
        name="an_attack_ends_at_the_first_look",
        fault="Attacks that got nowhere near are ended with those that did.",
        file="tfcurv/certificates/deciding/evidence.py",
        old="rows = rows[found[rows] > near]",
        new="rows = rows[found[rows] < near]",
        tests=("tests/certificates/deciding/decisions_test.py",),
    ),
    Mutant(
        name="unknown_lines_rise_by_nothing",
        fault="NaN of the way back taken for margins that stay as they are.",
        file="tfcurv/certificates/linear/lines.py",
        old='ball_box.where_nan(rises, float("inf"))',
        new="ball_box.where_nan(rises, 0.0)",
        tests=("tests/bounds/propagation/backward_lines_test.py::HostileTest",),
    ),
    Mutant(
        name="ball_left_behind",
        fault=("A radius beyond the ball in which the curvature was bounded."),
        file="tfcurv/certificates/curvature/near_each_image.py",
        old="certified = np.minimum(radius[rows], proved)",
        new="certified = proved",
        tests=(
            "tests/certificates/curvature/near_each_image_test.py::TruthTest",
        ),
    ),
    Mutant(
        name="farthest_example_kept",
        fault="Of several adversarial examples the farthest kept.",
        file="tfcurv/certificates/attacks/multi_target.py",
        old="nearer = found.distance < best.distance",
        new="nearer = found.distance > best.distance",
        tests=("tests/runs/attack_test.py::AttackTest",),
    ),
    Mutant(
        name="step_out_of_the_domain",
        fault="A step to a boundary that may lie out of the domain.",
        file="tfcurv/certificates/attacks/threat.py",
        old="return self.cut(x0 - far[:, tf.newaxis] * way)",
        new="return x0 - far[:, tf.newaxis] * way",
        tests=("tests/certificates/attacks/threat_test.py",),
    ),
    Mutant(
        name="bound_of_the_pair_turned_round",
        fault="A bound that was put off kept for the pair turned round.",
        file="tfcurv/certificates/curvature/lazy_table.py",
        old="self.values[pair] = min(found, self.values[pair])",
        new="self.values[pair[::-1]] = min(found, self.values[pair])",
        tests=("tests/certificates/curvature/lazy_table_test.py",),
    ),
    Mutant(
        name="pairs_that_nobody_asked_for_are_straight",
        fault="Zeros of a saved table, of pairs that it lacks, taken up.",
        file="tfcurv/certificates/curvature/lazy_table.py",
        old='np.where(self._known, known["values"], self.first)',
        new='known["values"].copy()',
        tests=("tests/certificates/curvature/lazy_table_test.py",),
    ),
    Mutant(
        name="points_that_know_of_others",
        fault="First radii that depend on which points were asked before.",
        file="tfcurv/certificates/curvature/lazy_table.py",
        old="return self.first.copy()",
        new="return self.first",
        tests=("tests/certificates/curvature/lazy_table_test.py",),
    ),
    Mutant(
        name="bound_of_another_point",
        fault=(
            "An evaluation at one point proved with the bound for segments "
            "from another."
        ),
        file="tfcurv/certificates/curvature/near_each_image.py",
        old="ball = x[rows], radius[rows], centre",
        new="ball = x[rows], radius[rows], x[rows]",
        tests=(
            "tests/certificates/curvature/near_each_image_test.py::TruthTest",
        ),
    ),
    Mutant(
        name="multiplier_beyond_its_limit",
        fault=(
            "A multiplier of up to twice 1/|m|, beyond which the dual is no "
            "bound: the curvature halved."
        ),
        file="tfcurv/certificates/margins/safe_ball.py",
        old="a = (curvature + error.gradient / scale)",
        new="a = (0.5 * curvature + error.gradient / scale)",
        tests=(
            "tests/certificates/margins/safe_ball_test.py::ProvedRadiusTest",
        ),
    ),
    Mutant(
        name="correction_dropped",
        fault=(
            "The dual taken at a point that is no minimiser without the "
            "correction -a ||d||^2 that it then needs."
        ),
        file="tfcurv/certificates/margins/safe_ball.py",
        old="2.0 * along - a * reach * reach",
        new="2.0 * along",
        tests=(
            "tests/certificates/margins/safe_ball_test.py::ProvedRadiusTest",
        ),
    ),
    Mutant(
        name="tied_logits_are_safe",
        fault=(
            "A margin without a gradient certified without end, also where "
            "it is zero: gloro gives tied logits an infinite radius."
        ),
        file="tfcurv/certificates/margins/safe_ball.py",
        old="    sound = tf.math.is_finite(radius)",
        new=(
            "    radius = tf.where(size <= 1e-140, 0.0 * f + 1e200, radius)\n"
            "    sound = tf.math.is_finite(radius)"
        ),
        tests=(
            "tests/certificates/margins/safe_ball_test.py::ProvedRadiusTest",
        ),
    ),
    Mutant(
        name="nan_is_robust",
        fault=(
            "The radius compared so that NaN passes: in BCP a NaN in the "
            "optimum becomes robust."
        ),
        file="tfcurv/certificates/margins/safe_ball.py",
        old="sound & (radius > 0.0), radius, tf.zeros_like(radius)",
        new="radius <= 0.0, tf.zeros_like(radius), radius",
        tests=(
            "tests/certificates/margins/safe_ball_test.py::ProvedRadiusTest",
        ),
    ),
    Mutant(
        name="margin_error_ignored",
        fault="The radius proved without the error of the margin.",
        file="tfcurv/certificates/margins/safe_ball.py",
        old="(error.margin + 0.5 * error.gradient * scale)",
        new="(0.5 * error.gradient * scale)",
        tests=(
            "tests/certificates/margins/safe_ball_test.py::ProvedRadiusTest",
        ),
    ),
    Mutant(
        name="gradient_error_ignored",
        fault="The curvature not raised by the error of the gradient.",
        file="tfcurv/certificates/margins/safe_ball.py",
        old="(curvature + error.gradient / scale)",
        new="curvature",
        tests=(
            "tests/certificates/margins/safe_ball_test.py::ProvedRadiusTest",
        ),
    ),
    Mutant(
        name="vanished_products_ignored",
        fault="Products that underflow taken for zero where they decide.",
        file="tfcurv/certificates/margins/safe_ball.py",
        old="* terms + _PRODUCT_FLOOR",
        new="* terms",
        tests=("tests/certificates/curvature/sharpness_test.py",),
    ),
    Mutant(
        name="vanished_norm_ignored",
        fault="The norm of a gradient whose squares underflow taken as it is.",
        file="tfcurv/certificates/margins/safe_ball.py",
        old="* (1.0 + rounding) + numerics.NORM_FLOOR",
        new="",
        tests=("tests/certificates/curvature/sharpness_test.py",),
    ),
    Mutant(
        name="runner_up_claims_all",
        fault=(
            "Only the runner-up examined and all classes claimed, as by "
            "[SF20]'s authors: 60.2 % where attacks leave 53.5 %."
        ),
        file="tfcurv/certificates/deciding/decider.py",
        old="if self._options.targets is Targets.RUNNER_UP:",
        new="if self._options.targets is not None:",
        tests=("tests/certificates/curvature/method_test.py::LinearTest",),
    ),
    Mutant(
        name="last_class_skipped",
        fault="A loop over the classes that stops one short of the last.",
        file="tfcurv/certificates/deciding/decider.py",
        old="rivals = classes != y[:, np.newaxis]",
        new="rivals = (classes != y[:, np.newaxis]) & (classes < classes[-1])",
        tests=("tests/certificates/curvature/method_test.py::LinearTest",),
    ),
    Mutant(
        name="tie_won",
        fault="A tie counted as a win: a radius of zero that certifies.",
        file="tfcurv/certificates/deciding/decider.py",
        old="return self.right & np.all(self.radii > 0.0, axis=-1)",
        new="return self.right & np.all(self.radii >= 0.0, axis=-1)",
        tests=("tests/certificates/curvature/method_test.py::ReasonTest",),
    ),
    Mutant(
        name="misclassified_certified",
        fault="The predicted class certified, whatever the label says.",
        file="tfcurv/certificates/deciding/decider.py",
        old="classes = np.arange(self.method.network.num_classes)",
        new=(
            "y = look.prediction\n"
            "        classes = np.arange(self.method.network.num_classes)"
        ),
        tests=("tests/certificates/curvature/method_test.py::RunnerUpTest",),
    ),
    Mutant(
        name="infinite_input_accepted",
        fault="An infinite input judged by logits that saturate.",
        file="tfcurv/certificates/deciding/decider.py",
        old="finite = np.all(np.isfinite(x), axis=-1)",
        new="finite = np.ones(len(x), bool)",
        tests=("tests/certificates/curvature/sharpness_test.py",),
    ),
    Mutant(
        name="nan_logits_accepted",
        fault="Logits that are NaN or infinite given a prediction.",
        file="tfcurv/certificates/deciding/decider.py",
        old="finite &= look.finite",
        new="pass",
        tests=("tests/certificates/curvature/sharpness_test.py",),
    ),
    Mutant(
        name="proof_in_float32",
        fault=(
            "The margin of a proof added up in float32, with the error bound "
            "of float64: a certificate worth 24 bits."
        ),
        file="tfcurv/certificates/curvature/proof.py",
        old="margin = tf.reduce_sum(features * weights, axis=-1) + bias",
        new=(
            "products = tf.cast(features * weights, tf.float32)\n"
            "    total = tf.reduce_sum(products, axis=-1)\n"
            "    margin = tf.cast(total, features.dtype) + bias"
        ),
        tests=("tests/certificates/curvature/method_test.py::LinearTest",),
    ),
    Mutant(
        name="search_trusted",
        fault="The radius that the search reports taken for a proof.",
        file="tfcurv/certificates/curvature/proofs.py",
        old="prove(network, x, centre, y, t, a)",
        new="tf.cast(found.radius, x.dtype)",
        tests=("tests/certificates/curvature/method_test.py::LinearTest",),
    ),
    Mutant(
        name="bounds_of_another_label",
        fault="Curvature bounds taken from the row of another image's label.",
        file="tfcurv/certificates/curvature/method.py",
        old="self._table.bounds(y, runners_up)[y]",
        new="self._table.bounds(y, runners_up)[y[::-1]]",
        tests=("tests/certificates/curvature/metamorphic_test.py::BatchTest",),
    ),
    Mutant(
        name="radii_of_other_rows",
        fault="Radii scattered back into a batch in the wrong order.",
        file="tfcurv/certificates/deciding/decider.py",
        old="standing.radii[rows, t] = radius",
        new="standing.radii[rows, t] = radius[::-1]",
        tests=("tests/certificates/curvature/metamorphic_test.py::BatchTest",),
    ),
    Mutant(
        name="labels_of_other_rows",
        fault="The labels of a part of a batch gathered in the wrong order.",
        file="tfcurv/certificates/deciding/decider.py",
        old="y=standing.y[rows],",
        new="y=standing.y[rows[::-1]],",
        tests=("tests/certificates/curvature/metamorphic_test.py::BatchTest",),
    ),
    Mutant(
        name="examples_of_other_rows",
        fault="Adversarial examples given to other images of the batch.",
        file="tfcurv/certificates/deciding/decider.py",
        old="standing.upper_bound[rows], found\n",
        new="standing.upper_bound[rows], found[::-1]\n",
        tests=("tests/certificates/curvature/sharpness_test.py",),
    ),
    Mutant(
        name="one_logit_errs",
        fault="The error of one logit counted where a margin has two.",
        file="tfcurv/certificates/deciding/decider.py",
        old="_SURE, _PROVABLE = 2.0, 10.0",
        new="_SURE, _PROVABLE = 1.0, 10.0",
        tests=("tests/certificates/curvature/sharpness_test.py",),
    ),
    Mutant(
        name="exactness_claimed",
        fault="Every certified radius called exact, whatever the gap.",
        file="tfcurv/certificates/deciding/decider.py",
        old="return self.certified & (gap <= EXACTNESS_TOLERANCE * radius)",
        new="return self.certified",
        tests=("tests/certificates/curvature/method_test.py::PlaneTest",),
    ),
    Mutant(
        name="guard_not_applied",
        fault="The rounding of a float32 execution computed and left out.",
        file="tfcurv/certificates/curvature/proof.py",
        old="return tf.minimum(radius, guarded)",
        new="return tf.maximum(radius, guarded)",
        tests=("tests/runs/rigor_test.py::GuardTest",),
    ),
    Mutant(
        name="centre_taken_for_the_point",
        fault="A proof at the centre of the search as if it were x0.",
        file="tfcurv/certificates/curvature/proof.py",
        old="None if x is x0 else x0 - x",
        new="None",
        tests=("tests/certificates/curvature/method_test.py",),
    ),
    Mutant(
        name="closed_form_of_flat_pairs",
        fault="Every pair of the closed form with the label's own curvature.",
        file="tfcurv/certificates/curvature/proof.py",
        old="a = tf.gather(curvatures, t, batch_dims=1)",
        new="a = tf.gather(curvatures, y, batch_dims=1)",
        tests=("tests/certificates/sandwich_test.py",),
    ),
    Mutant(
        name="closed_forms_shifted",
        fault="The radii of the closed form given to the class beside theirs.",
        file="tfcurv/certificates/curvature/proof.py",
        old="shifts = (tf.range(classes) - y[:, tf.newaxis]) % classes",
        new=(
            "shifts = (tf.range(classes) - y[:, tf.newaxis]) % classes\n"
            "    shifts = tf.where(\n"
            "        shifts == 0, 0, 1 + shifts % (classes - 1)\n"
            "    )"
        ),
        tests=("tests/certificates/sandwich_test.py",),
    ),
    Mutant(
        name="pair_transposed",
        fault="The bound of (t, y) entered for the pair (y, t).",
        file="tfcurv/certificates/curvature/pair_table.py",
        old="pair_concavity_upper_bound(y, t)",
        new="pair_concavity_upper_bound(t, y)",
        tests=(
            "tests/certificates/curvature/pair_table_test.py::FewClassesTest",
        ),
    ),
    Mutant(
        name="half_of_a_pair",
        fault="The larger of two logits' curvatures taken for their sum.",
        file="tfcurv/certificates/curvature/pair_table.py",
        old="plus[:, np.newaxis] + minus",
        new="np.maximum(plus[:, np.newaxis], minus)",
        tests=(
            "tests/certificates/curvature/pair_table_test.py::ManyClassesTest",
        ),
    ),
    Mutant(
        name="unproved_example",
        fault="The last point of an attack reported, misclassified or not.",
        file="tfcurv/certificates/attacks/boundary.py",
        old="wrong = tf.where(is_misclassified(network, x, label))[:, 0]",
        new="wrong = tf.where(label >= 0)[:, 0]",
        tests=(
            "tests/certificates/attacks/boundary_test.py::CrossBoundaryTest",
        ),
    ),
    Mutant(
        name="example_within_rounding",
        fault="A point called misclassified that rounding has made so.",
        file="tfcurv/certificates/attacks/boundary.py",
        old="margin += 2.0 * networks.logit_error(network, forward)",
        new="margin += 1.0 * networks.logit_error(network, forward)",
        tests=("tests/certificates/curvature/sharpness_test.py",),
    ),
    Mutant(
        name="attack_sees_half",
        fault="A falsifier that overlooks what lies close to the radius.",
        file="tfcurv/certificates/attacks/falsification.py",
        old="new = flipped & (distance < ball.radius)",
        new="new = flipped & (distance < 0.9 * ball.radius)",
        tests=("tests/certificates/attacks/falsification_test.py",),
    ),
    Mutant(
        name="ball_bound_of_exact_arithmetic",
        fault="A lower bound over a ball without the rounding of its terms.",
        file="tfcurv/certificates/margins/safe_ball.py",
        old="missed = 2.0 * numerics.gamma(count, f.dtype) * terms",
        new="missed = 0.0 * terms",
        tests=("tests/certificates/margins/safe_ball_test.py",),
    ),
    Mutant(
        name="ball_bound_of_an_exact_gradient",
        fault="The gradient's error left out of a lower bound over a ball.",
        file="tfcurv/certificates/margins/safe_ball.py",
        old="(error.margin + error.gradient * reach)",
        new="error.margin",
        tests=("tests/certificates/margins/safe_ball_test.py",),
    ),
    Mutant(
        name="nan_raises_a_radius",
        fault="A refinement that says NaN believed, as what is not smaller.",
        file="tfcurv/certificates/deciding/decider.py",
        old="raised = found.radius > known[rows]",
        new="raised = ~(found.radius <= known[rows])",
        tests=("tests/certificates/deciding/contract_test.py::StageTest",),
    ),
    Mutant(
        name="one_radius_for_all_classes",
        fault="Fewer radii than classes, taken for one against each of them.",
        file="tfcurv/certificates/deciding/decider.py",
        old="if radii.shape != rivals.shape:",
        new="if radii.ndim != 2:",
        tests=("tests/certificates/deciding/contract_test.py::ClaimTest",),
    ),
    Mutant(
        name="refusal_overruled",
        fault="A method asked for by name used on what it refuses.",
        file="tfcurv/certificates/methods.py",
        old="if refusal is None:",
        new="if refusal is None or name != AUTO:",
        tests=("tests/certificates/deciding/contract_test.py::ChoiceTest",),
    ),
    Mutant(
        name="steep_slopes_forgotten",
        fault="Every activation with a kink taken for 1-Lipschitz.",
        file="tfcurv/certificates/lipschitz/bounds.py",
        old="slope = node.activation.slope_range.magnitude",
        new="slope = min(1.0, node.activation.slope_range.magnitude)",
        tests=("tests/certificates/lipschitz/bounds_test.py::ConstantsTest",),
    ),
    Mutant(
        name="shortcut_of_logits_forgotten",
        fault="Constants of pairs of classes without what skips the last map.",
        file="tfcurv/certificates/lipschitz/bounds.py",
        old="total = numerics.round_up(total + grown, 1)",
        new="total = numerics.round_up(np.maximum(total, grown), 1)",
        tests=("tests/certificates/lipschitz/bounds_test.py::ConstantsTest",),
    ),
    Mutant(
        name="margins_taken_as_exact",
        fault="A radius from a margin as computed, without its error.",
        file="tfcurv/certificates/lipschitz/bounds.py",
        old="left = numerics.round_down(margin - error, 1)",
        new="left = margin",
        tests=("tests/certificates/lipschitz/bounds_test.py::RadiiTest",),
    ),
    Mutant(
        name="margin_all_but_positive",
        fault="A margin that rounding may have made positive.",
        file="tfcurv/certificates/interval/regions.py",
        old="margin -= missed + numerics.gamma(8) * (size + missed)",
        new="margin -= 0.0 * size",
        tests=("tests/certificates/interval/regions_test.py",),
    ),
    Mutant(
        name="found_taken_as_proved",
        fault="A radius that was only searched for.",
        file="tfcurv/certificates/interval/largest_radii.py",
        old="held = rivals[rows] & (margins > 0.0)",
        new="held = rivals[rows] & (margins > -np.inf)",
        tests=("tests/certificates/interval/method_test.py::HostileTest",),
    ),
    Mutant(
        name="counter_example_outside_the_domain",
        fault="A counter-example that no input of the domain is.",
        file="tfcurv/certificates/attacks/threat.py",
        old=(
            "            return self.cut(centre + tf.clip_by_value(offset, "
            "-most, most))"
        ),
        new="            return centre + tf.clip_by_value(offset, -most, most)",
        tests=("tests/certificates/attacks/threat_test.py",),
    ),
)
