"""Faults in maps, activations, graphs and rounding; see `mutant_list`."""

from mutant import Mutant

MUTANTS = (
    Mutant(
        name="places_of_another_shape",
        fault="Windows read in a shape that a lost reshape had changed.",
        file="tfcurv/networks/maps/trained.py",
        old="if shapes != (before, after):",
        new="if len(before) != 3 or len(after) != 3:",
        tests=("tests/bounds/propagation/backward_lines_test.py::WindowTest",),
    ),
    Mutant(
        name="windows_go_on_beyond_the_border",
        fault="Weights of zeros that pad a layer taken for values of it.",
        file="tfcurv/networks/maps/windows.py",
        old="return cut(Window(origin, found), linear.input_shape)",
        new="return Window(origin, found)",
        tests=("tests/networks/maps/windows_test.py",),
    ),
    Mutant(
        name="windows_do_not_know_of_padding",
        fault="The zeros before a layer forgotten in where a window is.",
        file="tfcurv/networks/maps/windows.py",
        old="origin = window.origin * steps - before",
        new="origin = window.origin * steps",
        tests=("tests/networks/maps/windows_test.py",),
    ),
    Mutant(
        name="lines_held_at_the_ends_alone",
        fault="The curve between the ends left out.",
        file="tfcurv/networks/functions/relaxations.py",
        old="            found.append(most)\n",
        new="",
        tests=("tests/networks/functions/relaxations_test.py::LinesTest",),
    ),
    Mutant(
        name="a_parallel_through_the_wrong_point",
        fault="A lower line of another slope's offset.",
        file="tfcurv/networks/functions/relaxations.py",
        old="lower_slope, below = upper_slope, curve.offset(-1, upper_slope)",
        new="lower_slope, below = upper_slope, curve.line(-1)[1]",
        tests=("tests/networks/functions/relaxations_test.py::LinesTest",),
    ),
    Mutant(
        name="lines_past_a_kink",
        fault="Lines that look past the kinks of the curve.",
        file="tfcurv/networks/functions/relaxations.py",
        old="*(_clip(b, low, high) for b in self._fn.bends)]\n",
        new="]\n",
        tests=("tests/networks/functions/relaxations_test.py::LinesTest",),
    ),
    Mutant(
        name="lines_of_the_first_block_for_all",
        fault="Lines of one activation for all that stand side by side.",
        file="tfcurv/networks/functions/relaxations.py",
        old="*(block.activation, z,",
        new="*(fn.blocks[0].activation, z,",
        tests=("tests/networks/functions/relaxations_test.py::LinesTest",),
    ),
    Mutant(
        name="a_centre_taken_as_exact",
        fault="Lines around the computed centre.",
        file="tfcurv/networks/functions/relaxations.py",
        old="found = 4.0 * unit * steep * size + steep * error",
        new="found = 4.0 * unit * steep * size",
        tests=("tests/networks/functions/relaxations_test.py::LinesTest",),
    ),
    Mutant(
        name="slopes_far_out_are_those_near_zero",
        fault="Whether a curve bends judged near zero.",
        file="tfcurv/networks/functions/relaxations.py",
        old="fn.end_slopes(start, end)",
        new="fn.end_slopes(*np.clip((start, end), -3.0, 3.0))",
        tests=("tests/networks/functions/relaxations_test.py::PiecesTest",),
    ),
    Mutant(
        name="bends_the_other_way",
        fault="Convex taken for concave.",
        file="tfcurv/networks/functions/relaxations.py",
        old="return Piece(start, end, int(np.sign(last - first)))",
        new="return Piece(start, end, int(np.sign(first - last)))",
        tests=("tests/networks/functions/relaxations_test.py",),
    ),
    Mutant(
        name="overlaps_forgotten",
        fault="Max pooling taken for 1-Lipschitz where windows overlap.",
        file="tfcurv/networks/functions/maximum.py",
        old="return math.prod(_most_windows(axis) for axis in self.axes)",
        new="return 1",
        tests=(
            "tests/networks/evaluation_test.py::MaxPoolingTest",
            "tests/certificates/lipschitz/bounds_test.py::ConstantsTest",
        ),
    ),
    Mutant(
        name="nan_passed_over_by_maxima",
        fault="An unknown error that a maximum does not see.",
        file="tfcurv/networks/evaluation.py",
        old="known = tf.where(tf.math.is_nan(error), _infinite(error), error)",
        new="known = error",
        tests=("tests/networks/evaluation_test.py::EvaluationTest",),
    ),
    Mutant(
        name="constants_rounded_inward",
        fault="The ranges of s' and s'' rounded inward, not outward.",
        file="tfcurv/networks/functions/smooth.py",
        old="_WIDENING = EVALUATION_ROUNDOFFS",
        new="_WIDENING = -EVALUATION_ROUNDOFFS",
        tests=("tests/networks/functions/smooth_test.py::GlobalRangeTest",),
    ),
    Mutant(
        name="nan_is_an_interval",
        fault=(
            "The ends of an interval compared so that NaN passes: every "
            "comparison with it is false."
        ),
        file="tfcurv/networks/functions/intervals.py",
        old="if numbers and not lower <= upper:",
        new="if numbers and lower > upper:",
        tests=("tests/networks/functions/smooth_test.py::IntervalTest",),
    ),
    Mutant(
        name="jump_taken_as_smooth",
        fault=(
            "An activation whose s'' jumps bounded by its values beside the "
            "jump alone."
        ),
        file="tfcurv/networks/functions/smooth.py",
        old="*(self.curvature_jump or ())",
        new="",
        tests=("tests/networks/functions/smooth_test.py::GlobalRangeTest",),
    ),
    Mutant(
        name="tensorfloat_kernels",
        fault=(
            "Kernels cut to the 10 bits of TensorFloat-32, in which "
            "TensorFlow multiplies float32 matrices on recent GPUs."
        ),
        file="tfcurv/networks/maps/linear_map.py",
        old="array = self._array.astype(dtype.as_numpy_dtype)",
        new=(
            "array = (\n"
            "                    "
            "self._array.astype('float32').view('int32') & -8192\n"
            "                "
            ").view('float32').astype(dtype.as_numpy_dtype)"
        ),
        tests=("tests/networks/chain_test.py::EvaluationTest",),
    ),
    Mutant(
        name="margin_without_bias",
        fault="The biases left out of the difference of two logits.",
        file="tfcurv/networks/chain.py",
        old="tf.gather(negated, t) - tf.gather(negated, y)",
        new="tf.zeros_like(weights[:, 0])",
        tests=("tests/networks/chain_test.py::EvaluationTest",),
    ),
    Mutant(
        name="margin_exact",
        fault="The rounding error of the margin taken for zero.",
        file="tfcurv/networks/rounding.py",
        old="margin * numerics.CHAIN_INFLATION,",
        new="0.0 * margin,",
        tests=("tests/bounds/curvature/sharpness_test.py",),
    ),
    Mutant(
        name="gradient_exact",
        fault="The rounding error of the gradient taken for zero.",
        file="tfcurv/networks/rounding.py",
        old=", error * numerics.CHAIN_INFLATION",
        new=", 0.0 * error",
        tests=("tests/bounds/curvature/sharpness_test.py",),
    ),
    Mutant(
        name="slope_taken_in_place",
        fault=(
            "The slopes of a backward pass taken as if its pre-activations "
            "were exact."
        ),
        file="tfcurv/networks/rounding.py",
        old="local = curvature * z_error + ",
        new="local = 0.0 * z_error + ",
        tests=("tests/bounds/curvature/sharpness_test.py",),
    ),
    Mutant(
        name="backward_without_norm",
        fault="A gradient's error carried through a kernel without its norm.",
        file="tfcurv/networks/rounding.py",
        old=(
            "norm * error\n"
            "        + affine.kernel_error * size\n"
            "        + rounding"
        ),
        new=("error\n        + affine.kernel_error * size\n        + rounding"),
        tests=("tests/bounds/curvature/sharpness_test.py",),
    ),
    Mutant(
        name="errors_do_not_multiply",
        fault="The product of two errors, of weights and features, left out.",
        file="tfcurv/networks/rounding.py",
        old="(weight_size + weight_error) * errors.features",
        new="weight_size * errors.features",
        tests=("tests/bounds/curvature/sharpness_test.py",),
    ),
    Mutant(
        name="one_bias_errs",
        fault="The error of one bias counted where a margin has two.",
        file="tfcurv/networks/rounding.py",
        old="+ 2.0 * last.bias_error",
        new="+ last.bias_error",
        tests=("tests/bounds/curvature/sharpness_test.py",),
    ),
    Mutant(
        name="bias_added_exactly",
        fault="The rounding of adding a bias left out.",
        file="tfcurv/networks/rounding.py",
        old="products = network.absolute_norms[index] * size + bias",
        new="products = network.absolute_norms[index] * size",
        tests=("tests/bounds/curvature/sharpness_test.py",),
    ),
    Mutant(
        name="bent_taken_for_carried",
        fault="Neurons that bend taken for such as are only carried along.",
        file="tfcurv/networks/functions/side_by_side.py",
        old="bent = [not block.activation.is_linear for block in self.blocks]",
        new="bent = [False for block in self.blocks]",
        tests=("tests/networks/flow_test.py::SingleUnitTest",),
    ),
    Mutant(
        name="shortcut_forgotten",
        fault="Of several branches that are added up, one left out.",
        file="tfcurv/networks/flow.py",
        old="atom: summed([v.terms[atom] for v in values if atom in v.terms])",
        new="atom: [v.terms[atom] for v in values if atom in v.terms][-1]",
        tests=("tests/networks/flow_test.py::SingleUnitTest",),
    ),
    Mutant(
        name="lost_between_maps",
        fault="What underflows between maps that are fused taken for nothing.",
        file="tfcurv/networks/flow.py",
        old="size + _UNDERFLOW * (growth - 1.0)",
        new="size + 0.0 * growth",
        tests=("tests/networks/flow_test.py::StructureTest",),
    ),
    Mutant(
        name="zeros_on_the_wrong_side",
        fault='Padding "same" with the odd zero before, not after.',
        file="tfcurv/networks/maps/convolution.py",
        old="return zeros // 2, zeros - zeros // 2",
        new="return zeros - zeros // 2, zeros // 2",
        tests=("tests/nn/reading/linear_layers_test.py::ConvolutionTest",),
    ),
    Mutant(
        name="fusing_taken_as_exact",
        fault="The rounding of a scale fused into a kernel left out.",
        file="tfcurv/networks/flow.py",
        old="kernel_error=numerics.round_up(error, 4),",
        new="kernel_error=0.0,",
        tests=(
            "tests/nn/reading/network_test.py::FusingTest",
            "tests/networks/flow_test.py::StructureTest",
        ),
    ),
    Mutant(
        name="activation_known_by_name",
        fault="Functions left out of the fingerprint, where names stand.",
        file="tfcurv/networks/fingerprint.py",
        old="any(fn is own for own in (*ACTIVATIONS.values(), *KINKED))",
        new="True",
        tests=("tests/networks/fingerprint_test.py::FingerprintTest",),
    ),
    Mutant(
        name="linear_by_name",
        fault="An activation of a caller's that is named linear taken for it.",
        file="tfcurv/networks/functions/smooth.py",
        old="return self.value is tf.identity",
        new='return self.name == "linear"',
        tests=("tests/networks/fingerprint_test.py::NameTest",),
    ),
    Mutant(
        name="execution_not_hashed",
        fault="The stages of the execution left out of the fingerprint.",
        file="tfcurv/networks/fingerprint.py",
        old="None if execution is None else execution.stages,",
        new="execution is None,",
        tests=("tests/networks/fingerprint_test.py::FingerprintTest",),
    ),
    Mutant(
        name="box_of_stored_weights",
        fault=(
            "A box that rounding does not widen, nor weights that are not "
            "exact."
        ),
        file="tfcurv/networks/maps/proved.py",
        old="lost = numerics.gamma(self.linear.terms + self.roundings + 2)",
        new="lost = 0.0",
        tests=("tests/bounds/propagation/ball_box_test.py::SharpnessTest",),
    ),
    Mutant(
        name="norm_of_stored_weights",
        fault="The norm of the stored map taken for that of the exact one.",
        file="tfcurv/networks/maps/proved.py",
        old="        if self.roundings:\n",
        new="        if False:\n",
        tests=("tests/bounds/propagation/ball_box_test.py::SharpnessTest",),
    ),
    Mutant(
        name="column_norms_of_stored_weights",
        fault=(
            "Column norms of the stored map taken for those of the exact one."
        ),
        file="tfcurv/networks/maps/proved.py",
        old="more = numerics.gamma(self.roundings)",
        new="more = 0.0",
        tests=("tests/bounds/propagation/ball_box_test.py::SharpnessTest",),
    ),
    Mutant(
        name="columns_of_stored_weights",
        fault="Columns of the stored map taken for those of the exact one.",
        file="tfcurv/networks/maps/proved.py",
        old="errors = numerics.gamma(count) * sizes + self.error",
        new="errors = 0.0 * sizes",
        tests=("tests/bounds/propagation/ball_box_test.py::SharpnessTest",),
    ),
    Mutant(
        name="products_err_by_nothing",
        fault="A value whose product with a kernel is not rounded.",
        file="tfcurv/networks/norm_errors.py",
        old="error = norm * (error + rounded * size + numerics.NORM_FLOOR)",
        new="error = norm * (error + numerics.NORM_FLOOR)",
        tests=("tests/bounds/propagation/ball_box_test.py::ErrorsTest",),
    ),
    Mutant(
        name="valley_forgotten",
        fault="The range of gelu without its valley.",
        file="tfcurv/networks/functions/smooth.py",
        old="value_critical=(-0.751791524693564457,)",
        new="value_critical=()",
        tests=("tests/bounds/propagation/ball_box_test.py::SoundnessTest",),
    ),
    Mutant(
        name="valley_between_the_ends",
        fault="A range of |z| on an interval around zero that has no zero.",
        file="tfcurv/networks/functions/kinked.py",
        old="value_critical=(0.0,) if negative_slope < 0.0 else (),",
        new="value_critical=(),",
        tests=("tests/networks/functions/kinked_test.py",),
    ),
    Mutant(
        name="piece_between_ends_forgotten",
        fault="The steepest slope of a row by its ends alone.",
        file="tfcurv/networks/functions/kinked.py",
        old=(
            "            met = (least <= end) & (most >= start)\n          "
            "  size"
        ),
        new=(
            "            met = (least <= end) & (least >= start)\n         "
            "   size"
        ),
        tests=("tests/bounds/propagation/ball_box_test.py::SoundnessTest",),
    ),
    Mutant(
        name="column_errors_dropped",
        fault=(
            "The norms of stored columns taken for those of the exact ones."
        ),
        file="tfcurv/networks/maps/proved.py",
        old="round_up(norms + (more + self.error), 4)",
        new="round_up(norms + more, 4)",
        tests=("tests/bounds/propagation/chain_test.py",),
    ),
    Mutant(
        name="entry_errors_dropped",
        fault=(
            "What the error of a kernel adds to intervals left out, entry "
            "by entry."
        ),
        file="tfcurv/networks/maps/proved.py",
        old="return self.error * length",
        new="return 0.0 * length",
        tests=("tests/bounds/propagation/chain_test.py",),
    ),
    Mutant(
        name="map_error_dropped",
        fault="The norm of a stored map taken for that of the exact one.",
        file="tfcurv/networks/maps/proved.py",
        old="round_up(norm + self.error, 1)",
        new="round_up(norm, 1)",
        tests=("tests/bounds/propagation/chain_test.py",),
    ),
    Mutant(
        name="falling_slopes_gentle",
        fault="A ball carried through by the slopes that rise alone.",
        file="tfcurv/networks/functions/smooth.py",
        old="tf.reduce_max(tf.maximum(*map(tf.abs, slopes)), axis=-1)",
        new="tf.reduce_max(tf.maximum(slopes.upper, 0.0), axis=-1)",
        tests=("tests/bounds/curvature/in_balls_test.py::SingleUnitTest",),
    ),
    Mutant(
        name="a_block_left_out",
        fault="Of blocks side by side, the slopes of the first alone.",
        file="tfcurv/networks/functions/side_by_side.py",
        old="return tf.reduce_max(tf.stack(found), axis=0)",
        new="return found[0]",
        tests=("tests/networks/functions/side_by_side_test.py",),
    ),
    Mutant(
        name="vanished_before_it_grows",
        fault="The norm of absolute values without what underflows on the way.",
        file="tfcurv/networks/maps/operator_norms.py",
        old="lost = numerics.MATRIX_UNDERFLOW * underflow_growth(operator)",
        new="lost = numerics.MATRIX_UNDERFLOW",
        tests=("tests/networks/maps/combined_test.py::VanishedTest",),
    ),
    Mutant(
        name="columns_vanished_before_they_grow",
        fault="Columns of a combined map without what underflows on the way.",
        file="tfcurv/networks/maps/operator_norms.py",
        old="lost = numerics.NORM_FLOOR * underflow_growth(operator)",
        new="lost = 0.0",
        tests=("tests/networks/maps/combined_test.py::VanishedTest",),
    ),
    Mutant(
        name="kinks_have_no_fingerprint",
        fault="A fingerprint that asks a kink for its curvature.",
        file="tfcurv/networks/fingerprint.py",
        old='if fn.is_kinked and field.name == "curvature":',
        new="if False:",
        tests=("tests/runs/lipschitz_test.py::LipschitzTest",),
    ),
)
