"""Faults in maps, activations, curvature and rounding; see `mutant_list`."""

from mutant import Mutant

MUTANTS = (
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
        old="margin * numerics.CHAIN_INFLATION,",
        new="0.0 * margin,",
        tests=("tests/bounds_sharpness_test.py",),
    ),
    Mutant(
        name="gradient_exact",
        fault="The rounding error of the gradient taken for zero.",
        file="tfcurv/bounds/rounding.py",
        old=", error * numerics.CHAIN_INFLATION",
        new=", 0.0 * error",
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
    Mutant(
        name="vanished_powers_ignored",
        fault="A norm of squares, the fourth powers of which underflow.",
        file="tfcurv/bounds/theorem4.py",
        old="solvers.frobenius_norm_upper_bound(squares) * peak * peak",
        new="float(np.sum(norms**4)) ** 0.5",
        tests=("tests/bounds_curvature_test.py::MetamorphicTest",),
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
        name="zeros_on_the_wrong_side",
        fault='Padding "same" with the odd zero before, not after.',
        file="tfcurv/bounds/convolution.py",
        old="return zeros // 2, zeros - zeros // 2",
        new="return zeros - zeros // 2, zeros // 2",
        tests=("tests/nn_linear_layers_test.py::ConvolutionTest",),
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
)
