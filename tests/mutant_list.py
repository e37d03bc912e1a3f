"""The faults that tests/mutants.py plants, and the tests that must catch them.

Each stands for a fault that tools of the field have been seen to have, or
that this library would have if one term of a derivation were left out, one
comparison turned round, one refusal forgotten. Not here are terms that no
input can be shown to need: where one part of a proof hides another's loss,
its absence is no fault.

[SF20]: Singla and Feizi, "Second-Order Provable Defenses against Adversarial
Attacks", ICML 2020.
"""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mutant:
    """A fault, as a replacement in one source file.

    Attributes:
        name: Short and unique.
        fault: What it stands for, in one sentence.
        file: The source, from the root of the project.
        old: Text that occurs in it exactly once.
        new: What takes its place.
        tests: Test files, or classes of them, of which one must fail.
    """

    name: str
    fault: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def planted_in(self, source: str) -> str:
        """Returns the source with the fault in it.

        Args:
            source: The text of `file`.

        Raises:
            ValueError: The old text does not occur exactly once.
        """
        if (count := source.count(self.old)) != 1:
            raise ValueError(
                f"The text to replace must occur once in {self.file}. "
                f"Received: old={self.old!r}, which occurs {count} times."
            )
        return source.replace(self.old, self.new)


_NUMERICS = (
    Mutant(
        name="roundoff_halved",
        fault="A unit roundoff of half its size, under every rounding bound.",
        file="tfcurv/numerics.py",
        old=".eps) / 2.0",
        new=".eps) / 4.0",
        tests=("tests/numerics_test.py",),
    ),
    Mutant(
        name="power_iteration_as_bound",
        fault=(
            "Power iteration taken for a bound on a norm, as in the code of "
            "[SF20]'s authors, which under-estimates the curvature by up to "
            "4.2 %."
        ),
        file="tfcurv/solvers/eigenvalues.py",
        old="squared = eigenvalue_upper_bound(gram, tolerance)",
        new=(
            "v = np.ones(len(gram))\n"
            "    for _ in range(20):\n"
            "        v = gram @ v / (np.linalg.norm(gram @ v) + 1e-300)\n"
            "    squared = float(v @ gram @ v)"
        ),
        tests=("tests/solvers_eigenvalues_test.py::SpectralNormTest",),
    ),
    Mutant(
        name="unproved_eigenvalue",
        fault=(
            "The convergence of an iteration trusted: its proposal is no "
            "longer proved by a factorisation that succeeds."
        ),
        file="tfcurv/solvers/eigenvalues.py",
        old="if _is_positive_definite(bound, matrix):",
        new="if bound > 0.0:",
        tests=("tests/solvers_eigenvalues_test.py::EigenvalueTest",),
    ),
    Mutant(
        name="gram_rounding_dropped",
        fault="A norm from a Gram matrix without the rounding of its sums.",
        file="tfcurv/solvers/eigenvalues.py",
        old="squared += numerics.gamma(long + 2) * frobenius + _TINY",
        new="squared += _TINY",
        tests=("tests/bounds_sharpness_test.py",),
    ),
)

_COMPACTION = (
    Mutant(
        name="rows_left_behind",
        fault=(
            "Rows gathered into a smaller batch with what belongs to the "
            "first rows of the whole."
        ),
        file="tfcurv/solvers/compaction.py",
        old="return count + limit, *_select(rows.active, (index, fixed, rows))",
        new=(
            "kept = _select(rows.active, (index, rows))\n"
            "        size = tf.size(kept[0])\n"
            "        fixed = tf.nest.map_structure(lambda x: x[:size], fixed)\n"
            "        return count + limit, kept[0], fixed, kept[1]"
        ),
        tests=("tests/solvers_compaction_test.py",),
    ),
)

_ACTIVATIONS = (
    Mutant(
        name="constants_rounded_inward",
        fault="The ranges of s' and s'' rounded inward, not outward.",
        file="tfcurv/bounds/activations.py",
        old="_WIDENING = EVALUATION_ROUNDOFFS",
        new="_WIDENING = -EVALUATION_ROUNDOFFS",
        tests=("tests/bounds_activations_test.py::GlobalRangeTest",),
    ),
    Mutant(
        name="nan_is_an_interval",
        fault=(
            "The ends of an interval compared so that NaN passes: every "
            "comparison with it is false."
        ),
        file="tfcurv/bounds/activations.py",
        old="if not self.lower <= self.upper:",
        new="if self.lower > self.upper:",
        tests=("tests/bounds_activations_test.py::IntervalTest",),
    ),
    Mutant(
        name="jump_taken_as_smooth",
        fault=(
            "An activation whose s'' jumps bounded by its values beside the "
            "jump alone."
        ),
        file="tfcurv/bounds/activations.py",
        old="*(self.curvature_jump or ())",
        new="",
        tests=("tests/bounds_activations_test.py::GlobalRangeTest",),
    ),
)

_CURVATURE = (
    Mutant(
        name="wrong_sign_of_s",
        fault="The signed form with the wrong sign of s''.",
        file="tfcurv/bounds/densities.py",
        old="[negative_part(f, c) for",
        new="[negative_part(Range(-f.upper, -f.lower), c) for",
        tests=("tests/bounds_curvature_test.py::TwoLayersTest",),
    ),
    Mutant(
        name="nan_weighs_nothing",
        fault=(
            "The weights of a Hessian compared so that NaN counts as zero: "
            "an overflow that proves a small curvature."
        ),
        file="tfcurv/bounds/chain_products.py",
        old="active = ~(density <= 0.0)",
        new="active = density > 0.0",
        tests=("tests/bounds_curvature_test.py::DegenerateNetworksTest",),
    ),
    Mutant(
        name="nan_is_the_least",
        fault=(
            "NaN among candidate bounds kept as it is, so that which of them "
            "is the least depends on their order."
        ),
        file="tfcurv/bounds/theorem4.py",
        old="return math.inf if math.isnan(value) else float(value)",
        new="return float(value)",
        tests=("tests/bounds_curvature_test.py::DegenerateNetworksTest",),
    ),
    Mutant(
        name="slopes_frozen",
        fault=(
            "The slopes of all activations taken at the middle of their "
            "range: the second-order terms of a chain left out."
        ),
        file="tfcurv/bounds/chain_products.py",
        old=(
            "total += scale * norm_of(j + 1) * centres[j].spread * lipschitz[j]"
        ),
        new="total += 0.0 * centres[j].spread",
        tests=("tests/bounds_sharpness_test.py",),
    ),
    Mutant(
        name="last_layer_alone_bends",
        fault="The Hessian of a deep network bounded by one layer's term.",
        file="tfcurv/bounds/curvature.py",
        old="total += chain * chain",
        new="total = chain * chain",
        tests=("tests/bounds_curvature_test.py::BoundsTest",),
    ),
    Mutant(
        name="merged_without_norms",
        fault="The norms between the layers left out of the merged form.",
        file="tfcurv/bounds/curvature.py",
        old="between *= self._network.norms[index]",
        new="between *= 1.0",
        tests=("tests/bounds_curvature_test.py::BoundsTest",),
    ),
    Mutant(
        name="product_error_dropped",
        fault=(
            "What fusing kernels may have changed left out of the error of "
            "their product."
        ),
        file="tfcurv/bounds/chain_products.py",
        old="+ product.error * peak * self._network.norms[index]",
        new="",
        tests=("tests/bounds_sharpness_test.py",),
    ),
    Mutant(
        name="own_kernel_error_dropped",
        fault=(
            "What a kernel itself may be off by left out of the error of a "
            "product with it."
        ),
        file="tfcurv/bounds/chain_products.py",
        old="size * affine.kernel_error\n            +",
        new="0.0\n            +",
        tests=("tests/bounds_sharpness_test.py",),
    ),
    Mutant(
        name="class_error_dropped",
        fault=(
            "The error of the last kernel left out of the bounds that serve "
            "many classes at once."
        ),
        file="tfcurv/bounds/curvature.py",
        old="error = last.kernel_error\n        columns",
        new="error = 0.0\n        columns",
        tests=("tests/bounds_sharpness_test.py",),
    ),
)

_LOCAL = (
    Mutant(
        name="average_turned_round",
        fault=(
            "The curvature near the far end of a segment weighed most, and "
            "that at the point of evaluation least."
        ),
        file="tfcurv/bounds/local.py",
        old="(1.0 - start) ** 2 - (1.0 - end) ** 2",
        new="end**2 - start**2",
        tests=("tests/bounds_local_test.py::SingleUnitTest",),
    ),
    Mutant(
        name="local_rounding_dropped",
        fault=(
            "Intervals around computed pre-activations, as if these were "
            "the exact ones."
        ),
        file="tfcurv/bounds/local.py",
        old="(deviation + errors[index][:, tf.newaxis])",
        new="deviation",
        tests=("tests/bounds_local_test.py::SingleUnitTest",),
    ),
    Mutant(
        name="first_layer_rounding_dropped",
        fault=("The same of the first layer alone, at the rim of the ball."),
        file="tfcurv/bounds/local.py",
        old="* self._columns[0] + error",
        new="* self._columns[0] + 0.0 * error",
        tests=("tests/bounds_local_test.py::SingleUnitTest",),
    ),
    Mutant(
        name="segment_rounding_dropped",
        fault="The same at the other end of a segment.",
        file="tfcurv/bounds/local.py",
        old="slack = error[:, tf.newaxis] + 8.0",
        new="slack = 8.0",
        tests=("tests/bounds_local_test.py::SingleUnitTest",),
    ),
    Mutant(
        name="evaluation_outside_ignored",
        fault=(
            "Segments to a point of evaluation outside the ball treated as "
            "if they stayed inside."
        ),
        file="tfcurv/bounds/local.py",
        old="tf.maximum(ball.radius, beyond) * _INFLATION",
        new="ball.radius * _INFLATION",
        tests=("tests/bounds_local_test.py::SingleUnitTest",),
    ),
    Mutant(
        name="column_errors_dropped",
        fault=(
            "The norms of stored columns taken for those of the exact ones."
        ),
        file="tfcurv/bounds/local.py",
        old="affine.linear.column_norms + affine.kernel_error\n    return",
        new="affine.linear.column_norms\n    return",
        tests=("tests/bounds_local_test.py::SingleUnitTest",),
    ),
    Mutant(
        name="entry_errors_dropped",
        fault=(
            "What the error of a kernel adds to intervals left out, entry "
            "by entry."
        ),
        file="tfcurv/bounds/local.py",
        old="missed = reach * affine.kernel_error",
        new="missed = reach * 0.0",
        tests=("tests/bounds_local_test.py::SingleUnitTest",),
    ),
    Mutant(
        name="slopes_at_their_centres",
        fault=(
            "The slopes of a ball taken at the middle of their ranges: the "
            "rest of a chain left out."
        ),
        file="tfcurv/bounds/centred_chain.py",
        old="total += outer * lipschitz[below]",
        new="total += 0.0 * outer",
        tests=("tests/bounds_local_test.py::SingleUnitTest",),
    ),
    Mutant(
        name="chain_error_dropped",
        fault="A chain of stored kernels taken for one of the exact ones.",
        file="tfcurv/bounds/centred_chain.py",
        old="error = affine.kernel_error * float(np.max(root))",
        new="error = 0.0",
        tests=("tests/bounds_local_test.py::SingleUnitTest",),
    ),
    Mutant(
        name="deep_layers_straight",
        fault="Of a deep network the curvature of the first layer alone.",
        file="tfcurv/bounds/local.py",
        old="total += share * share",
        new="total += 0.0 * share",
        tests=("tests/bounds_local_test.py::SingleUnitTest",),
    ),
    Mutant(
        name="falling_slopes_ignored",
        fault=(
            "Activations taken for rising ones, where an interval is "
            "carried through."
        ),
        file="tfcurv/bounds/local.py",
        old="tf.maximum(tf.abs(slope.lower), tf.abs(slope.upper))",
        new="tf.maximum(slope.upper, 0.0)",
        tests=("tests/bounds_local_test.py::SingleUnitTest",),
    ),
    Mutant(
        name="scaled_rounding_dropped",
        fault=(
            "The norm of a scaled matrix without the rounding of its Gram "
            "matrix."
        ),
        file="tfcurv/solvers/scaled_gram.py",
        old="numerics.gamma(length + 8) * numerics.round_up(trace, length)",
        new="0.0 * trace * length",
        tests=("tests/solvers_scaled_gram_test.py",),
    ),
    Mutant(
        name="overflow_bounds_nothing",
        fault="Scales that are not finite dropped like those that are zero.",
        file="tfcurv/solvers/scaled_gram.py",
        old="if not np.all(np.isfinite(scale)):\n            return math.inf",
        new="scale = np.where(np.isfinite(scale), scale, 0.0)",
        tests=("tests/solvers_scaled_gram_test.py",),
    ),
    Mutant(
        name="ball_left_behind",
        fault=("A radius beyond the ball in which the curvature was bounded."),
        file="tfcurv/certificates/local.py",
        old="certified = np.minimum(radius[rows], proved)",
        new="certified = proved",
        tests=("tests/certificates_local_test.py::TruthTest",),
    ),
    Mutant(
        name="bound_of_another_point",
        fault=(
            "An evaluation at one point proved with the bound for segments "
            "from another."
        ),
        file="tfcurv/certificates/local.py",
        old="ball = x[rows], radius[rows], centre",
        new="ball = x[rows], radius[rows], x[rows]",
        tests=("tests/certificates_local_test.py::TruthTest",),
    ),
)

_NETWORK = (
    Mutant(
        name="tensorfloat_kernels",
        fault=(
            "Kernels cut to the 10 bits of TensorFloat-32, in which "
            "TensorFlow multiplies float32 matrices on recent GPUs."
        ),
        file="tfcurv/bounds/linear_maps.py",
        old="array = self._array.astype(dtype.as_numpy_dtype)",
        new=(
            "array = (\n"
            "                    "
            "self._array.astype('float32').view('int32') & -8192\n"
            "                "
            ").view('float32').astype(dtype.as_numpy_dtype)"
        ),
        tests=("tests/bounds_network_test.py::EvaluationTest",),
    ),
    Mutant(
        name="margin_without_bias",
        fault="The biases left out of the difference of two logits.",
        file="tfcurv/bounds/network.py",
        old="tf.gather(negated, t) - tf.gather(negated, y)",
        new="tf.zeros_like(weights[:, 0])",
        tests=("tests/bounds_network_test.py::EvaluationTest",),
    ),
    Mutant(
        name="margin_exact",
        fault="The rounding error of the margin taken for zero.",
        file="tfcurv/bounds/rounding.py",
        old="EvaluationError(margin * _INFLATION,",
        new="EvaluationError(0.0 * margin,",
        tests=("tests/bounds_sharpness_test.py",),
    ),
    Mutant(
        name="gradient_exact",
        fault="The rounding error of the gradient taken for zero.",
        file="tfcurv/bounds/rounding.py",
        old=", error * _INFLATION)",
        new=", 0.0 * error)",
        tests=("tests/bounds_sharpness_test.py",),
    ),
    Mutant(
        name="slope_taken_in_place",
        fault=(
            "The slopes of a backward pass taken as if its pre-activations "
            "were exact."
        ),
        file="tfcurv/bounds/rounding.py",
        old="local = curvature * z_error + ",
        new="local = 0.0 * z_error + ",
        tests=("tests/bounds_sharpness_test.py",),
    ),
    Mutant(
        name="backward_without_norm",
        fault="A gradient's error carried through a kernel without its norm.",
        file="tfcurv/bounds/rounding.py",
        old=(
            "norm * error\n"
            "        + affine.kernel_error * size\n"
            "        + rounding"
        ),
        new=("error\n        + affine.kernel_error * size\n        + rounding"),
        tests=("tests/bounds_sharpness_test.py",),
    ),
    Mutant(
        name="errors_do_not_multiply",
        fault="The product of two errors, of weights and features, left out.",
        file="tfcurv/bounds/rounding.py",
        old="(weight_size + weight_error) * errors.features",
        new="weight_size * errors.features",
        tests=("tests/bounds_sharpness_test.py",),
    ),
    Mutant(
        name="one_bias_errs",
        fault="The error of one bias counted where a margin has two.",
        file="tfcurv/bounds/rounding.py",
        old="+ 2.0 * last.bias_error",
        new="+ last.bias_error",
        tests=("tests/bounds_sharpness_test.py",),
    ),
    Mutant(
        name="bias_added_exactly",
        fault="The rounding of adding a bias left out.",
        file="tfcurv/bounds/rounding.py",
        old="products = network.absolute_norms[index] * size + bias",
        new="products = network.absolute_norms[index] * size",
        tests=("tests/bounds_sharpness_test.py",),
    ),
)

_EXECUTION = (
    Mutant(
        name="guard_at_the_centre",
        fault=(
            "The rounding of a float32 execution bounded at the image, where "
            "it must be bounded in the whole ball."
        ),
        file="tfcurv/bounds/execution.py",
        old="largest = largest + self._columns * moved",
        new="largest = largest + 0.0 * moved",
        tests=("tests/bounds_sharpness_test.py::ExecutionTest",),
    ),
    Mutant(
        name="guard_of_half_a_sum",
        fault="Partial sums of float32 taken for half of what they may be.",
        file="tfcurv/bounds/execution.py",
        old="largest = 0.5 * (terms",
        new="largest = 0.25 * (terms",
        tests=("tests/bounds_sharpness_test.py::ExecutionTest",),
    ),
    Mutant(
        name="guard_of_one_layer",
        fault="What one layer of float32 loses not carried through the next.",
        file="tfcurv/bounds/execution.py",
        old="carried + local,",
        new="local,",
        tests=("tests/bounds_sharpness_test.py::ExecutionTest",),
    ),
    Mutant(
        name="guard_of_rising_slopes",
        fault="The fall of an activation that is not monotone left out.",
        file="tfcurv/bounds/execution.py",
        old="slope = tf.maximum(tf.abs(low), tf.abs(high))",
        new="slope = tf.abs(high)",
        tests=("tests/bounds_sharpness_test.py::ExecutionTest",),
    ),
)

_SAFE_BALL = (
    Mutant(
        name="multiplier_beyond_its_limit",
        fault=(
            "A multiplier of up to twice 1/|m|, beyond which the dual is no "
            "bound: the curvature halved."
        ),
        file="tfcurv/certificates/safe_ball.py",
        old="a = (curvature + error.gradient / scale)",
        new="a = (0.5 * curvature + error.gradient / scale)",
        tests=("tests/certificates_safe_ball_test.py::ProvedRadiusTest",),
    ),
    Mutant(
        name="correction_dropped",
        fault=(
            "The dual taken at a point that is no minimiser without the "
            "correction -a ||d||^2 that it then needs."
        ),
        file="tfcurv/certificates/safe_ball.py",
        old="2.0 * along - a * reach * reach",
        new="2.0 * along",
        tests=("tests/certificates_safe_ball_test.py::ProvedRadiusTest",),
    ),
    Mutant(
        name="tied_logits_are_safe",
        fault=(
            "A margin without a gradient certified without end, also where "
            "it is zero: gloro gives tied logits an infinite radius."
        ),
        file="tfcurv/certificates/safe_ball.py",
        old="    sound = tf.math.is_finite(radius)",
        new=(
            "    radius = tf.where(size <= 1e-140, 0.0 * f + 1e200, radius)\n"
            "    sound = tf.math.is_finite(radius)"
        ),
        tests=("tests/certificates_safe_ball_test.py::ProvedRadiusTest",),
    ),
    Mutant(
        name="nan_is_robust",
        fault=(
            "The radius compared so that NaN passes: in BCP a NaN in the "
            "optimum becomes robust."
        ),
        file="tfcurv/certificates/safe_ball.py",
        old="sound & (radius > 0.0), radius, tf.zeros_like(radius)",
        new="radius <= 0.0, tf.zeros_like(radius), radius",
        tests=("tests/certificates_safe_ball_test.py::ProvedRadiusTest",),
    ),
    Mutant(
        name="margin_error_ignored",
        fault="The radius proved without the error of the margin.",
        file="tfcurv/certificates/safe_ball.py",
        old="(error.margin + 0.5 * error.gradient * scale)",
        new="(0.5 * error.gradient * scale)",
        tests=("tests/certificates_safe_ball_test.py::ProvedRadiusTest",),
    ),
    Mutant(
        name="gradient_error_ignored",
        fault="The curvature not raised by the error of the gradient.",
        file="tfcurv/certificates/safe_ball.py",
        old="(curvature + error.gradient / scale)",
        new="curvature",
        tests=("tests/certificates_safe_ball_test.py::ProvedRadiusTest",),
    ),
    Mutant(
        name="vanished_products_ignored",
        fault="Products that underflow taken for zero where they decide.",
        file="tfcurv/certificates/safe_ball.py",
        old="* terms + _PRODUCT_FLOOR",
        new="* terms",
        tests=("tests/certificates_sharpness_test.py",),
    ),
    Mutant(
        name="vanished_norm_ignored",
        fault="The norm of a gradient whose squares underflow taken as it is.",
        file="tfcurv/certificates/safe_ball.py",
        old="* (1.0 + rounding) + numerics.NORM_FLOOR",
        new="",
        tests=("tests/certificates_sharpness_test.py",),
    ),
    Mutant(
        name="vanished_powers_ignored",
        fault="A norm of squares, the fourth powers of which underflow.",
        file="tfcurv/bounds/theorem4.py",
        old="solvers.frobenius_norm_upper_bound(squares) * peak * peak",
        new="float(np.sum(norms**4)) ** 0.5",
        tests=("tests/bounds_curvature_test.py::MetamorphicTest",),
    ),
)

_CERTIFIER = (
    Mutant(
        name="runner_up_claims_all",
        fault=(
            "Only the runner-up examined and all classes claimed, as by "
            "[SF20]'s authors: 60.2 % where attacks leave 53.5 %."
        ),
        file="tfcurv/certificates/certifier.py",
        old="if options.targets is Targets.ALL:",
        new="if options.targets is None:",
        tests=("tests/certificates_certifier_test.py::LinearTest",),
    ),
    Mutant(
        name="last_class_skipped",
        fault="A loop over the classes that stops one short of the last.",
        file="tfcurv/certificates/certifier.py",
        old="return ~own",
        new="return ~own & (tf.range(classes) < classes - 1)",
        tests=("tests/certificates_certifier_test.py::LinearTest",),
    ),
    Mutant(
        name="tie_won",
        fault="A tie counted as a win: a radius of zero that certifies.",
        file="tfcurv/certificates/certifier.py",
        old="tf.reduce_all(radii > 0.0, axis=-1)",
        new="tf.reduce_all(radii >= 0.0, axis=-1)",
        tests=("tests/certificates_certifier_test.py::ReasonTest",),
    ),
    Mutant(
        name="misclassified_certified",
        fault="The predicted class certified, whatever the label says.",
        file="tfcurv/certificates/certifier.py",
        old="curvatures = tf.gather(curvature, y)",
        new="y = prediction\n    curvatures = tf.gather(curvature, y)",
        tests=("tests/certificates_certifier_test.py::RunnerUpTest",),
    ),
    Mutant(
        name="infinite_input_accepted",
        fault="An infinite input judged by logits that saturate.",
        file="tfcurv/certificates/certifier.py",
        old="finite = tf.reduce_all(tf.math.is_finite(x), axis=-1)",
        new="finite = tf.fill([tf.shape(x)[0]], True)",
        tests=("tests/certificates_sharpness_test.py",),
    ),
    Mutant(
        name="nan_logits_accepted",
        fault="Logits that are NaN or infinite given a prediction.",
        file="tfcurv/certificates/certifier.py",
        old="finite &= tf.reduce_all(tf.math.is_finite(logits), axis=-1)",
        new="pass",
        tests=("tests/certificates_sharpness_test.py",),
    ),
    Mutant(
        name="proof_in_float32",
        fault=(
            "The margin of a proof added up in float32, with the error bound "
            "of float64: a certificate worth 24 bits."
        ),
        file="tfcurv/certificates/proof.py",
        old="margin = tf.reduce_sum(features * weights, axis=-1) + bias",
        new=(
            "products = tf.cast(features * weights, tf.float32)\n"
            "    total = tf.reduce_sum(products, axis=-1)\n"
            "    margin = tf.cast(total, features.dtype) + bias"
        ),
        tests=("tests/certificates_certifier_test.py::LinearTest",),
    ),
    Mutant(
        name="search_trusted",
        fault="The radius that the search reports taken for a proof.",
        file="tfcurv/certificates/certifier.py",
        old="prove(network, x0, centre, label, t, a)",
        new="tf.cast(found.radius, x.dtype)",
        tests=("tests/certificates_certifier_test.py::LinearTest",),
    ),
    Mutant(
        name="bounds_of_another_label",
        fault="Curvature bounds taken from the row of another image's label.",
        file="tfcurv/certificates/certifier.py",
        old="curvatures = tf.gather(curvature, y)",
        new="curvatures = tf.gather(curvature, y[::-1])",
        tests=("tests/certificates_metamorphic_test.py::BatchTest",),
    ),
    Mutant(
        name="radii_of_other_rows",
        fault="Radii scattered back into a batch in the wrong order.",
        file="tfcurv/certificates/certifier.py",
        old="tensor_scatter_nd_update(state.radii, where, proved)",
        new="tensor_scatter_nd_update(state.radii, where, proved[::-1])",
        tests=("tests/certificates_metamorphic_test.py::BatchTest",),
    ),
    Mutant(
        name="labels_of_other_rows",
        fault="The labels of a part of a batch gathered in the wrong order.",
        file="tfcurv/certificates/certifier.py",
        old="tf.gather(x, rows), tf.gather(y, rows)",
        new="tf.gather(x, rows), tf.gather(y, rows[::-1])",
        tests=("tests/certificates_metamorphic_test.py::BatchTest",),
    ),
    Mutant(
        name="examples_of_other_rows",
        fault="Adversarial examples given to other images of the batch.",
        file="tfcurv/certificates/certifier.py",
        old="rows[:, tf.newaxis], found\n",
        new="rows[:, tf.newaxis], found[::-1]\n",
        tests=("tests/certificates_sharpness_test.py",),
    ),
    Mutant(
        name="one_logit_errs",
        fault="The error of one logit counted where a margin has two.",
        file="tfcurv/certificates/certifier.py",
        old="_SURE, _PROVABLE = 2.0, 10.0",
        new="_SURE, _PROVABLE = 1.0, 10.0",
        tests=("tests/certificates_sharpness_test.py",),
    ),
    Mutant(
        name="exactness_claimed",
        fault="Every certified radius called exact, whatever the gap.",
        file="tfcurv/certificates/certifier.py",
        old="exact=certified & (gap <= EXACTNESS_TOLERANCE * radius)",
        new="exact=certified",
        tests=("tests/certificates_certifier_test.py::PlaneTest",),
    ),
    Mutant(
        name="guard_not_applied",
        fault="The rounding of a float32 execution computed and left out.",
        file="tfcurv/certificates/proof.py",
        old="return tf.minimum(radius, guarded)",
        new="return tf.maximum(radius, guarded)",
        tests=("tests/nn_rigor_test.py::GuardTest",),
    ),
    Mutant(
        name="centre_taken_for_the_point",
        fault="A proof at the centre of the search as if it were x0.",
        file="tfcurv/certificates/proof.py",
        old="None if x is x0 else x0 - x",
        new="None",
        tests=("tests/certificates_certifier_test.py",),
    ),
    Mutant(
        name="closed_form_of_flat_pairs",
        fault="Every pair of the closed form with the label's own curvature.",
        file="tfcurv/certificates/proof.py",
        old="a = tf.gather(curvatures, t, batch_dims=1)",
        new="a = tf.gather(curvatures, y, batch_dims=1)",
        tests=("tests/certificates_sandwich_test.py",),
    ),
    Mutant(
        name="closed_forms_shifted",
        fault="The radii of the closed form given to the class beside theirs.",
        file="tfcurv/certificates/proof.py",
        old="shifts = (tf.range(classes) - y[:, tf.newaxis]) % classes",
        new=(
            "shifts = (tf.range(classes) - y[:, tf.newaxis]) % classes\n"
            "    shifts = tf.where(\n"
            "        shifts == 0, 0, 1 + shifts % (classes - 1)\n"
            "    )"
        ),
        tests=("tests/certificates_sandwich_test.py",),
    ),
    Mutant(
        name="pair_transposed",
        fault="The bound of (t, y) entered for the pair (y, t).",
        file="tfcurv/certificates/curvature_table.py",
        old="pair_concavity_upper_bound(y, t)",
        new="pair_concavity_upper_bound(t, y)",
        tests=("tests/certificates_curvature_table_test.py::FewClassesTest",),
    ),
    Mutant(
        name="half_of_a_pair",
        fault="The larger of two logits' curvatures taken for their sum.",
        file="tfcurv/certificates/curvature_table.py",
        old="plus[:, np.newaxis] + minus",
        new="np.maximum(plus[:, np.newaxis], minus)",
        tests=("tests/certificates_curvature_table_test.py::ManyClassesTest",),
    ),
)

_EVIDENCE = (
    Mutant(
        name="unproved_example",
        fault="The last point of an attack reported, misclassified or not.",
        file="tfcurv/certificates/adversary.py",
        old="wrong = tf.where(is_misclassified(network, x, label))[:, 0]",
        new="wrong = tf.where(label >= 0)[:, 0]",
        tests=("tests/certificates_adversary_test.py::CrossBoundaryTest",),
    ),
    Mutant(
        name="example_within_rounding",
        fault="A point called misclassified that rounding has made so.",
        file="tfcurv/certificates/adversary.py",
        old="margin += 2.0 * bounds.logit_error(network, forward)",
        new="margin += 1.0 * bounds.logit_error(network, forward)",
        tests=("tests/certificates_sharpness_test.py",),
    ),
    Mutant(
        name="attack_sees_half",
        fault="A falsifier that overlooks what lies close to the radius.",
        file="tfcurv/certificates/falsification.py",
        old="new = flipped & (distance < ball.radius)",
        new="new = flipped & (distance < 0.9 * ball.radius)",
        tests=("tests/certificates_falsification_test.py",),
    ),
    Mutant(
        name="runner_up_is_a_certificate",
        fault="A result against the runner-up alone that calls itself proved.",
        file="tfcurv/certificates/result.py",
        old='return self.targets_protocol == "all"',
        new="return True",
        tests=("tests/certificates_result_test.py::SummaryTest",),
    ),
    Mutant(
        name="boundary_is_inside",
        fault="An image counted at its own radius, where the class may change.",
        file="tfcurv/report/curves.py",
        old='side="right"',
        new='side="left"',
        tests=("tests/certificates_result_test.py::AccuracyTest",),
    ),
    Mutant(
        name="arrays_unverified",
        fault="The arrays of a saved result read without their hash.",
        file="tfcurv/certificates/storage.py",
        old="if hashlib.sha256(packed).hexdigest() != expected:",
        new="if not expected:",
        tests=("tests/certificates_storage_test.py::ReadResultTest",),
    ),
    Mutant(
        name="other_data_resumed",
        fault="A checkpoint continued with other data than it was begun with.",
        file="tfcurv/certificates/shards.py",
        old='if str(arrays.pop("data_hash", "")) != data_hash:',
        new='if not arrays.pop("data_hash", ""):',
        tests=("tests/certificates_shards_test.py",),
    ),
)

_KERAS = (
    Mutant(
        name="unknown_layer_ignored",
        fault=(
            "An unknown layer taken for the identity: gloro counts "
            "unknown layers as 1-Lipschitz."
        ),
        file="tfcurv/nn/reader.py",
        old="raise refusals.unknown(layer, len(sources))",
        new="return sources[0]",
        tests=("tests/nn_graph_refusals_test.py::LayerTest",),
    ),
    Mutant(
        name="subclass_trusted",
        fault="A subclass of Dense taken for Dense, whatever its `call` does.",
        file="tfcurv/nn/reader.py",
        old="layer, kind = call.operation, type(call.operation)",
        new=(
            "layer, kind = call.operation, type(call.operation)\n"
            "        if kind not in _LAYERS:\n"
            "            _LAYERS.add(kind)\n"
            "            readers = linear_layers.READERS\n"
            "            readers[kind] = readers.get(kind.__mro__[1])"
        ),
        tests=("tests/nn_graph_refusals_test.py::LayerTest",),
    ),
    Mutant(
        name="softmax_head_accepted",
        fault="Probabilities certified as if they were logits.",
        file="tfcurv/nn/activation_layers.py",
        old="        if fn is known:\n",
        new=(
            "        if fn is keras.activations.softmax:\n"
            "            return None\n"
            "        if fn is known:\n"
        ),
        tests=("tests/nn_graph_refusals_test.py",),
    ),
    Mutant(
        name="precision_ignored",
        fault="A layer of mixed precision read as if it were float32.",
        file="tfcurv/nn/layer_checks.py",
        old=(
            "        raise refusals.unsupported(\n"
            "            layer,\n"
            '            f"its dtype policy is {policy.name!r}",\n'
        ),
        new=(
            "        refusals.unsupported(\n"
            "            layer,\n"
            '            f"its dtype policy is {policy.name!r}",\n'
        ),
        tests=("tests/nn_graph_refusals_test.py",),
    ),
    Mutant(
        name="branches_ignored",
        fault="A layer that joins branches read as if it had the first alone.",
        file="tfcurv/nn/layer_checks.py",
        old="if len(sources) != 1:",
        new="if not sources:",
        tests=("tests/nn_graph_refusals_test.py",),
    ),
    Mutant(
        name="bent_taken_for_carried",
        fault="Neurons that bend taken for such as are only carried along.",
        file="tfcurv/bounds/blocks.py",
        old="bent = [not block.activation.is_linear for block in self.blocks]",
        new="bent = [False for block in self.blocks]",
        tests=("tests/bounds_flow_test.py::SingleUnitTest",),
    ),
    Mutant(
        name="shortcut_forgotten",
        fault="Of several branches that are added up, one left out.",
        file="tfcurv/bounds/flow.py",
        old="atom: summed([v.terms[atom] for v in values if atom in v.terms])",
        new="atom: [v.terms[atom] for v in values if atom in v.terms][-1]",
        tests=("tests/bounds_flow_test.py::SingleUnitTest",),
    ),
    Mutant(
        name="forces_left_out",
        fault="The compositional bound without what the lower layers add.",
        file="tfcurv/bounds/curvature.py",
        old="total = above + force * self._jacobians[index - 1]",
        new="total = above + 0.0 * force",
        tests=("tests/bounds_flow_test.py", "tests/bounds_curvature_test.py"),
    ),
    Mutant(
        name="lost_between_maps",
        fault="What underflows between maps that are fused taken for nothing.",
        file="tfcurv/bounds/flow.py",
        old="size + _UNDERFLOW * (growth - 1.0)",
        new="size + 0.0 * growth",
        tests=("tests/bounds_flow_test.py::StructureTest",),
    ),
    Mutant(
        name="batch_epsilon_forgotten",
        fault="A BatchNormalization folded without its epsilon.",
        file="tfcurv/nn/normalization_layers.py",
        old="along_axis(layer.moving_variance) + layer.epsilon",
        new="along_axis(layer.moving_variance)",
        tests=("tests/nn_normalization_layers_test.py",),
    ),
    Mutant(
        name="zeros_on_the_wrong_side",
        fault='Padding "same" with the odd zero before, not after.',
        file="tfcurv/bounds/convolution.py",
        old="return zeros // 2, zeros - zeros // 2",
        new="return zeros - zeros // 2, zeros // 2",
        tests=("tests/nn_linear_layers_test.py::ConvolutionTest",),
    ),
    Mutant(
        name="assumption_unnamed",
        fault=(
            "A result that rests on what the caller said, and does not say so."
        ),
        file="tfcurv/nn/subject.py",
        old="assumptions=found.assumptions",
        new="assumptions=()",
        tests=("tests/nn_assume_test.py",),
    ),
    Mutant(
        name="rescaling_ignored",
        fault=(
            "A Rescaling layer passed over, so that radii come in "
            "units of something else than the model's input."
        ),
        file="tfcurv/nn/normalization_layers.py",
        old="return _step(layer, shape, scale, offset)",
        new="return _step(layer, shape, np.ones(()), np.zeros(()))",
        tests=("tests/nn_adapter_test.py::LogitsTest",),
    ),
    Mutant(
        name="attribute_taken_for_activation",
        fault="An attribute that Keras never looks at read as an activation.",
        file="tfcurv/nn/linear_layers.py",
        old="isinstance(layer, _WITH_ACTIVATION) and layer.activation",
        new='getattr(layer, "activation", None)',
        tests=("tests/nn_graph_test.py",),
    ),
    Mutant(
        name="agreement_unchecked",
        fault="A model that computes something else than its layers say.",
        file="tfcurv/nn/adapter.py",
        old="    _check_agreement(model, found)\n    return",
        new="    return",
        tests=("tests/nn_adapter_test.py::RefusalTest",),
    ),
    Mutant(
        name="fusing_taken_as_exact",
        fault="The rounding of a scale fused into a kernel left out.",
        file="tfcurv/bounds/flow.py",
        old="kernel_error=numerics.round_up(error, 4),",
        new="kernel_error=0.0,",
        tests=(
            "tests/nn_adapter_test.py::FusingTest",
            "tests/bounds_flow_test.py::StructureTest",
        ),
    ),
    Mutant(
        name="diverged_weights_accepted",
        fault="NaN among the weights not refused by name.",
        file="tfcurv/nn/adapter.py",
        old="survey.refuse(refusals.not_finite_weight(model, weight))",
        new="pass",
        tests=("tests/nn_adapter_test.py::RefusalTest",),
    ),
    Mutant(
        name="function_known_by_its_name",
        fault="A user's function taken for the one of Keras that it is named.",
        file="tfcurv/nn/activation_layers.py",
        old="        if fn is known:\n",
        new='        if getattr(fn, "__name__", "") == known.__name__:\n',
        tests=("tests/nn_operations_test.py::FunctionTest",),
    ),
    Mutant(
        name="settings_of_an_operation_ignored",
        fault="The approximation of gelu taken for gelu.",
        file="tfcurv/nn/operations.py",
        old="if (found := getattr(operation, name)) != value:",
        new="if (found := getattr(operation, name)) is ...:",
        tests=("tests/nn_operations_test.py::FunctionTest",),
    ),
    Mutant(
        name="constant_varies_in_the_batch",
        fault="A constant with an axis of samples taken for that of one.",
        file="tfcurv/nn/operations.py",
        old="whole = (1, *shape)",
        new="whole = (*number.shape[:1], *shape)",
        tests=("tests/nn_operations_test.py::RefusalTest",),
    ),
    Mutant(
        name="constant_taken_as_float32_holds_it",
        fault="A number that Keras rounds to float32 read as if it did not.",
        file="tfcurv/nn/operations.py",
        old="exact = held and np.array_equal(number.astype(np.float32), array)",
        new="exact = held",
        tests=("tests/nn_operations_test.py::AffineTest",),
    ),
    Mutant(
        name="sum_along_another_axis",
        fault="A sum that Keras takes for a bias read as broadcasting has it.",
        file="tfcurv/nn/operations.py",
        old="if taken != where or",
        new="if",
        tests=("tests/nn_operations_test.py::RefusalTest",),
    ),
    Mutant(
        name="divided_by_what_depends_on_the_input",
        fault="A quotient by the input, 255 / x, read as x / 255.",
        file="tfcurv/nn/operations.py",
        old='if role == "/" and not is_first:',
        new='if role == "/" and is_first is None:',
        tests=("tests/nn_operations_test.py::RefusalTest",),
    ),
    Mutant(
        name="refused_layer_passed_over",
        fault="A model certified although a layer of it was refused.",
        file="tfcurv/nn/graph.py",
        old="        if self._refusals:\n            found",
        new="        if len(self._refusals) > 1:\n            found",
        tests=("tests/nn_graph_refusals_test.py::LayerTest",),
    ),
    Mutant(
        name="exported_weights_left_behind",
        fault="A plain model that is exported with weights of its own.",
        file="tfcurv/nn/rebuilding.py",
        old="        target.assign(source)",
        new="        target.assign(target)",
        tests=("tests/nn_conversion_test.py::ConversionTest",),
    ),
    Mutant(
        name="random_when_called",
        fault="A layer that is random when called taken for an identity.",
        file="tfcurv/nn/reader.py",
        old="        training_mode.check(layer, self._trained)\n",
        new="",
        tests=("tests/nn_training_mode_test.py::DeployedModelTest",),
    ),
    Mutant(
        name="training_mode_not_handed_on",
        fault="The mode of a layer that ran before taken for its own affair.",
        file="tfcurv/nn/training_mode.py",
        old="            elif self._mode is not None:\n",
        new="            elif False:\n",
        tests=("tests/nn_training_mode_test.py",),
    ),
    Mutant(
        name="called_model_not_looked_at",
        fault="Only `predict` compared with what was read, not `model(x)`.",
        file="tfcurv/nn/adapter.py",
        old="    if not found.trained_assumptions:\n",
        new="    if False:\n",
        tests=("tests/nn_training_mode_test.py::DeployedModelTest",),
    ),
    Mutant(
        name="activation_known_by_name",
        fault="Functions left out of the fingerprint, where names stand.",
        file="tfcurv/bounds/fingerprint.py",
        old="fn is RELU or fn is ACTIVATIONS.get(fn.name)",
        new="True",
        tests=("tests/bounds_fingerprint_test.py::FingerprintTest",),
    ),
    Mutant(
        name="linear_by_name",
        fault="An activation of a caller's that is named linear taken for it.",
        file="tfcurv/bounds/activations.py",
        old="return self.value is tf.identity",
        new='return self.name == "linear"',
        tests=("tests/bounds_fingerprint_test.py::NameTest",),
    ),
    Mutant(
        name="execution_not_hashed",
        fault="The stages of the execution left out of the fingerprint.",
        file="tfcurv/bounds/fingerprint.py",
        old="None if execution is None else execution.stages,",
        new="execution is None,",
        tests=("tests/bounds_fingerprint_test.py::FingerprintTest",),
    ),
    Mutant(
        name="second_pass_unchecked",
        fault="Data that are read twice compared once.",
        file="tfcurv/data/fingerprint.py",
        old="fingerprint.hexdigest() != parts[count]",
        new="False",
        tests=("tests/data_fingerprint_test.py::ReadAgainTest",),
    ),
    Mutant(
        name="float64_constants_as_given",
        fault="A number that Keras rounds to float32 read without rounding.",
        file="tfcurv/nn/normalization_layers.py",
        old='    return layer.backend.cast(value, "float64")\n',
        new="    return value\n",
        tests=("tests/nn_normalization_layers_test.py::RescalingTest",),
    ),
)

_TRAINING = (
    Mutant(
        name="penalty_outside_the_loss",
        fault="A penalty that neither replicas nor weights of examples scale.",
        file="tfcurv/nn/model.py",
        old="""reduce_as_compiled(
            penalties, self.loss, y, y_pred, sample_weight
        )""",
        new="tf.reduce_mean(penalties)",
        tests=(
            "tests/nn_example_losses_test.py::TrainingTest",
            "tests/nn_replicas_test.py",
        ),
    ),
    Mutant(
        name="ignored_class_penalised",
        fault="Examples that the loss ignores among those of the mean.",
        file="tfcurv/nn/example_losses.py",
        old='own = getattr(values, "_keras_mask", None)',
        new="own = None",
        tests=("tests/nn_example_losses_test.py",),
    ),
    Mutant(
        name="labels_in_32_bits",
        fault="A label beyond 32 bits taken for a class.",
        file="tfcurv/nn/targets.py",
        old="tf.cast(column[:, 0], tf.int64)",
        new="tf.cast(column[:, 0], tf.int32)",
        tests=("tests/nn_targets_test.py::ClassIndicesTest",),
    ),
    Mutant(
        name="gradient_norm_underflows",
        fault="An attack that squares gradients that have no squares.",
        file="tfcurv/nn/attack.py",
        old="unit = tf.where(usable, largest, tf.ones_like(largest))",
        new="unit = tf.ones_like(largest)",
        tests=("tests/nn_attack_test.py::PerturbTest",),
    ),
    Mutant(
        name="loss_added_too_late",
        fault="A regularizer without effect until the model is compiled.",
        file="tfcurv/nn/model.py",
        old="        self._follow_clock()\n        self._trace_again()\n",
        new="        self._follow_clock()\n",
        tests=("tests/nn_stale_state_test.py::ChangeTest",),
    ),
    Mutant(
        name="model_read_once",
        fault="A penalty of the model as it was when it was first read.",
        file="tfcurv/nn/model.py",
        old="if known is None or not known.reads_as(self._trained_graph):",
        new="if known is None:",
        tests=("tests/nn_stale_state_test.py::ChangeTest",),
    ),
    Mutant(
        name="interrupted_warm_up_kept",
        fault="An epsilon that stays where an interruption found it.",
        file="tfcurv/nn/model.py",
        old="                strength.settle()\n",
        new="                pass\n",
        tests=("tests/nn_callbacks_test.py::WarmUpTest",),
    ),
    Mutant(
        name="new_kernel_followed_as_an_old_one",
        fault="One step of power iteration on a kernel never seen.",
        file="tfcurv/nn/spectral_norm.py",
        old="_COLD = 0.1",
        new='_COLD = float("inf")',
        tests=("tests/nn_spectral_norm_test.py::StateTest",),
    ),
)

_GRAPHS = (
    Mutant(
        name="overlaps_forgotten",
        fault="Max pooling taken for 1-Lipschitz where windows overlap.",
        file="tfcurv/networks/maximum.py",
        old="return math.prod(_most_windows(axis) for axis in self.axes)",
        new="return 1",
        tests=(
            "tests/networks_evaluation_test.py::MaxPoolingTest",
            "tests/certificates_lipschitz_test.py::ConstantsTest",
        ),
    ),
    Mutant(
        name="steep_slopes_forgotten",
        fault="Every activation with a kink taken for 1-Lipschitz.",
        file="tfcurv/certificates/lipschitz.py",
        old="slope = node.activation.slope_range.magnitude",
        new="slope = min(1.0, node.activation.slope_range.magnitude)",
        tests=("tests/certificates_lipschitz_test.py::ConstantsTest",),
    ),
    Mutant(
        name="shortcut_of_logits_forgotten",
        fault="Constants of pairs of classes without what skips the last map.",
        file="tfcurv/certificates/lipschitz.py",
        old="total = numerics.round_up(total + grown, 1)",
        new="total = numerics.round_up(np.maximum(total, grown), 1)",
        tests=("tests/certificates_lipschitz_test.py::ConstantsTest",),
    ),
    Mutant(
        name="margins_taken_as_exact",
        fault="A radius from a margin as computed, without its error.",
        file="tfcurv/certificates/lipschitz.py",
        old="left = numerics.round_down(margin - error, 1)",
        new="left = margin",
        tests=("tests/certificates_lipschitz_test.py::RadiiTest",),
    ),
    Mutant(
        name="nan_passed_over_by_maxima",
        fault="An unknown error that a maximum does not see.",
        file="tfcurv/networks/evaluation.py",
        old="known = tf.where(tf.math.is_nan(error), _infinite(error), error)",
        new="known = error",
        tests=("tests/networks_evaluation_test.py::EvaluationTest",),
    ),
    Mutant(
        name="rounded_slope_taken_as_written",
        fault="A slope of 0.3 where the kernel that runs has it in float32.",
        file="tfcurv/nn/activation_layers.py",
        old='"leaky_relu", np.float32(negative_slope), None',
        new='"leaky_relu", np.float64(negative_slope), None',
        tests=("tests/nn_kinks_test.py::ReadingTest",),
    ),
)

_PROGRAMS = (
    Mutant(
        name="backup_deleted_before_saving",
        fault="A backup deleted before the trained network has been saved.",
        file="tfcurv/training/folder.py",
        old="    save_whole(trained.model.save, folder / MODEL)\n",
        new="    shutil.rmtree(backup)\n"
        "    save_whole(trained.model.save, folder / MODEL)\n",
        tests=("tests/training_folder_test.py",),
    ),
    Mutant(
        name="other_training_continued",
        fault="A training that goes on with another one's weights.",
        file="tfcurv/training/folder.py",
        old="    _compare(folder, found, _as_json(config))\n",
        new="",
        tests=("tests/training_folder_test.py",),
    ),
    Mutant(
        name="earlier_parts_forgotten",
        fault="The time of a training without its parts before a kill.",
        file="tfcurv/training/backup.py",
        old='self.epochs, self.seconds = state["epochs"], state["seconds"]',
        new='self.epochs, self.seconds = state["epochs"], 0.0',
        tests=("tests/training_folder_test.py",),
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
        name="paths_checked_after_work",
        fault="An output that cannot be written found out at the end.",
        file="tfcurv/report/files.py",
        old="        with _folders_above(target):\n",
        new="        with contextlib.suppress(OSError), "
        "_folders_above(target):\n",
        tests=(
            "tests/cli_test.py::NothingIsLostTest",
            "tests/report_files_test.py",
        ),
    ),
    Mutant(
        name="progress_in_files",
        fault="Backspaces and bars in output that is redirected.",
        file="tfcurv/report/progress.py",
        old="disable=not verbose or not _is_terminal()",
        new="disable=not verbose",
        tests=("tests/report_progress_test.py::ProgressBarTest",),
    ),
    Mutant(
        name="unsaved_example_said_to_be_saved",
        fault="A counter-example that a full disk took, said to be saved.",
        file="tfcurv/nn/falsify.py",
        old="        except OSError:\n            path = None\n",
        new="        except OSError:\n            pass\n",
        tests=("tests/nn_rigor_test.py::FalsifyTest",),
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

#: Every fault.
MUTANTS = (
    *_NUMERICS,
    *_COMPACTION,
    *_ACTIVATIONS,
    *_CURVATURE,
    *_LOCAL,
    *_NETWORK,
    *_GRAPHS,
    *_EXECUTION,
    *_SAFE_BALL,
    *_CERTIFIER,
    *_EVIDENCE,
    *_KERAS,
    *_TRAINING,
    *_PROGRAMS,
)
