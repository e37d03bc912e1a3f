"""Faults in curvature; see `mutant_list`."""

from mutant import Mutant

MUTANTS = (
    Mutant(
        name="a_bend_adds_no_generator",
        fault="Zonotopes that keep the generators of the input alone.",
        file="tfcurv/bounds/propagation/zonotopes.py",
        old="_as_rows(slab.slope * noise + added),",
        new="_as_rows(slab.slope * noise),",
        tests=("tests/bounds/propagation/zonotopes_test.py::RelaxTest",),
    ),
    Mutant(
        name="a_slab_around_its_lower_line",
        fault="The middle between two lines taken for the lower of them.",
        file="tfcurv/bounds/propagation/zonotopes.py",
        old="start + 0.5 * (above + below)",
        new="start + below",
        tests=("tests/bounds/propagation/zonotopes_test.py::RelaxTest",),
    ),
    Mutant(
        name="slopes_without_a_variance",
        fault="Random projections followed by the slopes of their logarithms.",
        file="tfcurv/bounds/propagation/zonotopes.py",
        old="scale * (1.0 + 0.5 * (share - tf.stop_gradient(share)))",
        new="tf.exp(tf.reduce_mean(logs, axis=0))",
        tests=("tests/bounds/propagation/zonotopes_test.py::RelaxTest",),
    ),
    Mutant(
        name="a_mean_of_logarithms_is_none",
        fault="The bias left in what random projections estimate.",
        file="tfcurv/bounds/propagation/zonotopes.py",
        old="tf.cos(0.5 * math.pi / k) ** k * scale",
        new="scale",
        tests=("tests/bounds/propagation/zonotopes_test.py::RelaxTest",),
    ),
    Mutant(
        name="multiplier_without_its_centre",
        fault="Constraints of deviations in the place of those of values.",
        file="tfcurv/bounds/propagation/backward_walk.py",
        old="        self._sum -= tf.reduce_sum(terms, axis=-1)\n",
        new="",
        tests=("tests/certificates/complete/search_test.py::BoundTest",),
    ),
    Mutant(
        name="undecided_sign_taken_for_on",
        fault="Lines of ReLU that take a sign for known that is not decided.",
        file="tfcurv/bounds/propagation/split_lines.py",
        old="is_on = (sign > 0) | (low >= 0.0)",
        new="is_on = (sign >= 0) | (low >= 0.0)",
        tests=("tests/bounds/propagation/split_lines_test.py",),
    ),
    Mutant(
        name="centre_of_split_lines_exact",
        fault="Lines around ReLU that forget how far off their centre may be.",
        file="tfcurv/bounds/propagation/split_lines.py",
        old="lost = before.error[:, tf.newaxis] + 16.0",
        new="lost = 16.0",
        tests=("tests/bounds/propagation/split_lines_test.py",),
    ),
    Mutant(
        name="ends_of_neurons_exchanged",
        fault="How far a neuron can fall taken for how far it can rise.",
        file="tfcurv/bounds/propagation/backward_lines.py",
        old="sign = tf.where(tf.gather(upper, numbers), -one, one)",
        new="sign = tf.where(tf.gather(upper, numbers), one, -one)",
        tests=(
            "tests/bounds/propagation/backward_lines_test.py::SoundnessTest",
        ),
    ),
    Mutant(
        name="the_other_end_is_never_asked",
        fault="Of neurons that bend the first end is bounded twice.",
        file="tfcurv/bounds/propagation/backward_lines.py",
        old="position, ends, around, asked, tf.equal(is_upper, first)",
        new="position, ends, around, asked, is_upper",
        tests=("tests/bounds/propagation/backward_lines_test.py::ExactTest",),
    ),
    Mutant(
        name="lines_of_another_point",
        fault="Windows of all points given the lines of the first.",
        file="tfcurv/bounds/propagation/backward_walk.py",
        old="tf.gather(tf.concat(table, axis=-1), first + numbers)",
        new="tf.gather(tf.concat(table, axis=-1), 0 * first + numbers)",
        tests=("tests/bounds/propagation/backward_lines_test.py::WindowTest",),
    ),
    Mutant(
        name="a_join_of_windows_loses_one",
        fault="Of two ways back to a layer the last alone.",
        file="tfcurv/bounds/propagation/backward_walk.py",
        old="part += self._rows(self._weights[atom], atom)",
        new="part += 0.0 * self._rows(self._weights[atom], atom)",
        tests=("tests/bounds/propagation/backward_lines_test.py::ExactTest",),
    ),
    Mutant(
        name="lines_taken_for_the_other_sign",
        fault="Of a negative weight the line below.",
        file="tfcurv/bounds/propagation/backward_walk.py",
        old="is_low = numbers >= 0.0",
        new="is_low = numbers < 0.0",
        tests=(
            "tests/bounds/propagation/backward_lines_test.py::SoundnessTest",
        ),
    ),
    Mutant(
        name="offsets_of_lines_forgotten",
        fault="Lines through the centre, without offsets.",
        file="tfcurv/bounds/propagation/backward_walk.py",
        old="self._sum += tf.reduce_sum(terms, axis=-1)",
        new="self._sum += 0.0 * tf.reduce_sum(terms, axis=-1)",
        tests=(
            "tests/bounds/propagation/backward_lines_test.py::SoundnessTest",
        ),
    ),
    Mutant(
        name="linear_nodes_end_a_pass",
        fault="Weights lost where maps end at nodes that are linear.",
        file="tfcurv/bounds/propagation/backward_walk.py",
        old="            self.push(atom, weights)\n            return",
        new="            return",
        tests=("tests/nn/training/worst_case_test.py::LogitsTest",),
    ),
    Mutant(
        name="lines_of_the_rival_alone",
        fault="A rival's logit bounded, not its rise over the label's.",
        file="tfcurv/bounds/propagation/margin_lines.py",
        old="return Rows(point, own - other)",
        new="return Rows(point, -other)",
        tests=(
            "tests/bounds/propagation/backward_lines_test.py::SoundnessTest",
        ),
    ),
    Mutant(
        name="a_rival_of_a_maximum_overlooked",
        fault="Of a window its largest member alone.",
        file="tfcurv/bounds/propagation/backward_lines.py",
        old="rival = tf.maximum(rival, low)",
        new="rival = low",
        tests=(
            "tests/bounds/propagation/backward_lines_test.py::SoundnessTest",
        ),
    ),
    Mutant(
        name="overlapping_windows_taken_as_apart",
        fault="Rivals looked for where windows share members.",
        file="tfcurv/bounds/propagation/backward_lines.py",
        old="if windows.overlap > 1:",
        new="if windows.overlap > 9:",
        tests=("tests/bounds/propagation/backward_lines_test.py::HostileTest",),
    ),
    Mutant(
        name="rounding_of_lines_not_counted",
        fault="Products and sums of the way back taken as exact.",
        file="tfcurv/bounds/propagation/backward_walk.py",
        old="return found - lost - numerics.gamma(16) * (size + lost)",
        new="return found + lost",
        tests=("tests/bounds/propagation/backward_lines_test.py::HostileTest",),
    ),
    Mutant(
        name="wrong_sign_of_s",
        fault="The signed form with the wrong sign of s''.",
        file="tfcurv/bounds/curvature/densities.py",
        old="[negative_part(f, c) for",
        new="[negative_part(Interval(-f.upper, -f.lower), c) for",
        tests=("tests/bounds/curvature/everywhere_test.py::TwoLayersTest",),
    ),
    Mutant(
        name="nan_weighs_nothing",
        fault=(
            "The weights of a Hessian compared so that NaN counts as zero: "
            "an overflow that proves a small curvature."
        ),
        file="tfcurv/bounds/curvature/chain_products.py",
        old="active = ~(density <= 0.0)",
        new="active = density > 0.0",
        tests=(
            "tests/bounds/curvature/everywhere_test.py::DegenerateNetworksTest",
        ),
    ),
    Mutant(
        name="nan_is_the_least",
        fault=(
            "NaN among candidate bounds kept as it is, so that which of them "
            "is the least depends on their order."
        ),
        file="tfcurv/bounds/curvature/theorem4.py",
        old="return math.inf if math.isnan(value) else float(value)",
        new="return float(value)",
        tests=(
            "tests/bounds/curvature/everywhere_test.py::DegenerateNetworksTest",
        ),
    ),
    Mutant(
        name="slopes_frozen",
        fault=(
            "The slopes of all activations taken at the middle of their "
            "range: the second-order terms of a chain left out."
        ),
        file="tfcurv/bounds/curvature/chain_products.py",
        old=(
            "total += scale * norm_of(j + 1) * centres[j].spread * lipschitz[j]"
        ),
        new="total += 0.0 * centres[j].spread",
        tests=("tests/bounds/curvature/sharpness_test.py",),
    ),
    Mutant(
        name="last_layer_alone_bends",
        fault="The Hessian of a deep network bounded by one layer's term.",
        file="tfcurv/bounds/curvature/everywhere.py",
        old="total += chain * chain",
        new="total = chain * chain",
        tests=("tests/bounds/curvature/everywhere_test.py::BoundsTest",),
    ),
    Mutant(
        name="merged_without_norms",
        fault="The norms between the layers left out of the merged form.",
        file="tfcurv/bounds/curvature/everywhere.py",
        old="between *= self._network.norms[index]",
        new="between *= 1.0",
        tests=("tests/bounds/curvature/everywhere_test.py::BoundsTest",),
    ),
    Mutant(
        name="product_error_dropped",
        fault=(
            "What fusing kernels may have changed left out of the error of "
            "their product."
        ),
        file="tfcurv/bounds/curvature/chain_products.py",
        old="+ product.error * peak * self._network.norms[index]",
        new="",
        tests=("tests/bounds/curvature/sharpness_test.py",),
    ),
    Mutant(
        name="own_kernel_error_dropped",
        fault=(
            "What a kernel itself may be off by left out of the error of a "
            "product with it."
        ),
        file="tfcurv/bounds/curvature/chain_products.py",
        old="size * affine.kernel_error\n            +",
        new="0.0\n            +",
        tests=("tests/bounds/curvature/sharpness_test.py",),
    ),
    Mutant(
        name="class_error_dropped",
        fault=(
            "The error of the last kernel left out of the bounds that serve "
            "many classes at once."
        ),
        file="tfcurv/bounds/curvature/everywhere.py",
        old="error = last.kernel_error\n        columns",
        new="error = 0.0\n        columns",
        tests=("tests/bounds/curvature/sharpness_test.py",),
    ),
    Mutant(
        name="average_turned_round",
        fault=(
            "The curvature near the far end of a segment weighed most, and "
            "that at the point of evaluation least."
        ),
        file="tfcurv/bounds/curvature/in_balls.py",
        old="(1.0 - start) ** 2 - (1.0 - end) ** 2",
        new="end**2 - start**2",
        tests=("tests/bounds/curvature/in_balls_test.py::SingleUnitTest",),
    ),
    Mutant(
        name="local_rounding_dropped",
        fault=(
            "Intervals around computed pre-activations, as if these were "
            "the exact ones."
        ),
        file="tfcurv/bounds/propagation/ball_box.py",
        old="+ region.farthest + error) + error",
        new="+ region.farthest + error)",
        tests=("tests/bounds/curvature/in_balls_test.py::SingleUnitTest",),
    ),
    Mutant(
        name="layers_at_the_centre",
        fault="All layers taken where they are at the centre of the ball.",
        file="tfcurv/bounds/curvature/in_balls.py",
        old="pre_activations(centres, ball.radius)",
        new="pre_activations(centres, 0.0 * ball.radius)",
        tests=("tests/bounds/curvature/in_balls_test.py::SingleUnitTest",),
    ),
    Mutant(
        name="segment_rounding_dropped",
        fault="Of the point of evaluation what was computed taken for exact.",
        file="tfcurv/bounds/curvature/in_balls.py",
        old="slack = error + 2.0",
        new="slack = 2.0",
        tests=("tests/bounds/curvature/in_balls_test.py::SingleUnitTest",),
    ),
    Mutant(
        name="evaluation_outside_ignored",
        fault=(
            "What lies between the point of evaluation and the ball left out, "
            "as if all of the way were in the ball."
        ),
        file="tfcurv/bounds/curvature/in_balls.py",
        old="(1.0 - theta) * z + theta * value for",
        new="0.0 * theta * z + value for",
        tests=("tests/bounds/curvature/in_balls_test.py::SingleUnitTest",),
    ),
    Mutant(
        name="slopes_at_their_centres",
        fault=(
            "The slopes of a ball taken at the middle of their ranges: the "
            "rest of a chain left out."
        ),
        file="tfcurv/bounds/curvature/centred_chain.py",
        old="total += numerics.round_up(outer, 2) * moved[below]",
        new="total += 0.0 * outer",
        tests=("tests/bounds/curvature/in_balls_test.py::SingleUnitTest",),
    ),
    Mutant(
        name="spread_without_its_root",
        fault="Both factors of a chain's rest with the spread, not its root.",
        file="tfcurv/bounds/curvature/centred_chain.py",
        old="np.sqrt(spread_of(slopes[below]))",
        new="spread_of(slopes[below])",
        tests=("tests/bounds/curvature/in_balls_test.py",),
    ),
    Mutant(
        name="outer_weights_of_another_point",
        fault="Outer weights taken at the ball's centre, not at c.",
        file="tfcurv/bounds/curvature/in_balls.py",
        old="self._regions.centres(ball.c)[0]",
        new="self._regions.centres(ball.x0)[0]",
        tests=("tests/bounds/curvature/in_balls_test.py",),
    ),
    Mutant(
        name="secants_of_one_end",
        fault="Secant slopes taken from the far half of their way alone.",
        file="tfcurv/bounds/curvature/in_balls.py",
        old="_numpy(fn.slope_range_on(*piece))",
        new="Interval(*(e[-1:] for e in _numpy(fn.slope_range_on(*piece))))",
        tests=("tests/bounds/curvature/in_balls_test.py::SecantTest",),
    ),
    Mutant(
        name="lines_of_half_the_ball",
        fault="Intervals of a chain's neurons by lines in half of the ball.",
        file="tfcurv/bounds/propagation/chain_lines.py",
        old="{}, {}, start)",
        new="{}, {}, BallBox(0.5 * start.radius))",
        tests=("tests/bounds/propagation/chain_test.py::LinesTest",),
    ),
    Mutant(
        name="chain_error_dropped",
        fault="A chain of stored kernels taken for one of the exact ones.",
        file="tfcurv/bounds/curvature/centred_chain.py",
        old="error = affine.kernel_error * float(np.max(root))",
        new="error = 0.0",
        tests=("tests/bounds/curvature/in_balls_test.py::SingleUnitTest",),
    ),
    Mutant(
        name="deep_layers_straight",
        fault="Of a deep network the curvature of the first layer alone.",
        file="tfcurv/bounds/curvature/in_balls.py",
        old="total += share * share",
        new="total += 0.0 * share",
        tests=("tests/bounds/curvature/in_balls_test.py::SingleUnitTest",),
    ),
    Mutant(
        name="falling_slopes_ignored",
        fault=(
            "Activations taken for rising ones, where an interval is "
            "carried through."
        ),
        file="tfcurv/bounds/propagation/ball_box.py",
        old="fn.value_range_on(low, high)",
        new="networks.Interval(fn.value(low), fn.value(high))",
        tests=("tests/bounds/curvature/in_balls_test.py::SingleUnitTest",),
    ),
    Mutant(
        name="deviations_by_one_slope",
        fault="A box carried through by the largest slope, the least left out.",
        file="tfcurv/bounds/propagation/ball_box.py",
        old="tf.minimum(slopes.upper * low, slopes.lower * high)",
        new="slopes.upper * low",
        tests=("tests/bounds/propagation/chain_test.py",),
    ),
    Mutant(
        name="vanished_powers_ignored",
        fault="A norm of squares, the fourth powers of which underflow.",
        file="tfcurv/bounds/curvature/theorem4.py",
        old="solvers.frobenius_norm_upper_bound(squares) * peak * peak",
        new="float(np.sum(norms**4)) ** 0.5",
        tests=("tests/bounds/curvature/everywhere_test.py::MetamorphicTest",),
    ),
    Mutant(
        name="forces_left_out",
        fault="The compositional bound without what the lower layers add.",
        file="tfcurv/bounds/curvature/everywhere.py",
        old="total = above + force * self._jacobians[index - 1]",
        new="total = above + 0.0 * force",
        tests=(
            "tests/networks/flow_test.py",
            "tests/bounds/curvature/everywhere_test.py",
        ),
    ),
    Mutant(
        name="guard_at_the_centre",
        fault=(
            "The rounding of a float32 execution bounded at the image, where "
            "it must be bounded in the whole ball."
        ),
        file="tfcurv/bounds/propagation/execution.py",
        old="largest = largest + self._columns * moved",
        new="largest = largest + 0.0 * moved",
        tests=("tests/bounds/curvature/sharpness_test.py::ExecutionTest",),
    ),
    Mutant(
        name="guard_of_half_a_sum",
        fault="Partial sums of float32 taken for half of what they may be.",
        file="tfcurv/bounds/propagation/execution.py",
        old="largest = 0.5 * (terms",
        new="largest = 0.25 * (terms",
        tests=("tests/bounds/curvature/sharpness_test.py::ExecutionTest",),
    ),
    Mutant(
        name="guard_of_one_layer",
        fault="What one layer of float32 loses not carried through the next.",
        file="tfcurv/bounds/propagation/execution.py",
        old="return _Spread(moved, _widened(lost, local))",
        new=(
            "return _Spread(moved, _widened(BallBox(0.0 * lost.radius, "
            "0.0 * lost.lower, 0.0 * lost.upper), local))"
        ),
        tests=("tests/bounds/curvature/sharpness_test.py::ExecutionTest",),
    ),
    Mutant(
        name="guard_of_rising_slopes",
        fault="The fall of an activation that is not monotone left out.",
        file="tfcurv/bounds/propagation/execution.py",
        old="slope = tf.maximum(*map(tf.abs, fn.slope_range_on(low, high)))",
        new="slope = tf.abs(fn.slope_range_on(low, high).upper)",
        tests=("tests/bounds/curvature/sharpness_test.py::ExecutionTest",),
    ),
    Mutant(
        name="half_the_ball_in_the_box",
        fault="A box from half of its ball.",
        file="tfcurv/bounds/propagation/ball_box.py",
        old="by_ball = numerics.round_up(by_ball, len(parts) + 1)",
        new="by_ball = 0.5 * by_ball",
        tests=("tests/bounds/propagation/ball_box_test.py",),
    ),
    Mutant(
        name="box_at_its_middle",
        fault="A box whose middle does not move with the map.",
        file="tfcurv/bounds/propagation/ball_box.py",
        old="low, high = centre - half, centre + half",
        new="low, high = -half, half",
        tests=("tests/bounds/propagation/ball_box_test.py",),
    ),
    Mutant(
        name="centre_taken_as_exact_before",
        fault="An activation whose argument at the centre has no error.",
        file="tfcurv/bounds/propagation/ball_box.py",
        old="lost = _ENDS * (tf.abs(z) + region.farthest + error) + error",
        new="lost = _ENDS * (tf.abs(z) + region.farthest + error)",
        tests=("tests/bounds/propagation/ball_box_test.py::SharpnessTest",),
    ),
    Mutant(
        name="centre_taken_as_exact_behind",
        fault="An activation whose value at the centre has no error.",
        file="tfcurv/bounds/propagation/ball_box.py",
        old="lost = _ENDS * (tf.abs(z) + tf.abs(low) + tf.abs(high)) + error",
        new="lost = _ENDS * (tf.abs(z) + tf.abs(low) + tf.abs(high))",
        tests=("tests/bounds/propagation/ball_box_test.py::SharpnessTest",),
    ),
    Mutant(
        name="ball_through_one_window",
        fault="A ball that overlapping windows do not magnify.",
        file="tfcurv/bounds/propagation/ball_box.py",
        old="radius = _grown(radius, windows.lipschitz_upper_bound)",
        new="radius = _grown(radius, 1.0)",
        tests=("tests/bounds/propagation/ball_box_test.py::SoundnessTest",),
    ),
    Mutant(
        name="joined_balls_take_the_largest",
        fault="The ball of a join as large as that of one part.",
        file="tfcurv/bounds/propagation/ball_box.py",
        old="radius = length(radii) * _INFLATION",
        new="radius = tf.reduce_max(radii, axis=-1)",
        tests=("tests/bounds/propagation/ball_box_test.py::JoinTest",),
    ),
    Mutant(
        name="unknown_region_is_a_point",
        fault="What is not a number taken for no deviation.",
        file="tfcurv/bounds/propagation/ball_box.py",
        old='radius = where_nan(radius, float("inf"))',
        new="radius = where_nan(radius, 0.0)",
        tests=("tests/bounds/propagation/ball_box_test.py::SharpnessTest",),
    ),
    Mutant(
        name="unknown_translation_is_none",
        fault=(
            "NaN in the place of the worst logits taken for no shift, as "
            "published code has it."
        ),
        file="tfcurv/bounds/propagation/worst_translation.py",
        old='where_nan(each, float("inf"))',
        new="where_nan(each, 0.0)",
        tests=("tests/bounds/propagation/worst_translation_test.py",),
    ),
    Mutant(
        name="ball_left_out_of_the_dual",
        fault="The dual value without the ball that is left.",
        file="tfcurv/bounds/propagation/worst_translation.py",
        old="value = gained + half * (tf.square(rho) - square)",
        new="value = gained - half * square",
        tests=("tests/bounds/propagation/worst_translation_test.py",),
    ),
    Mutant(
        name="vanished_length_of_weights",
        fault="The length of weights whose squares vanish taken for zero.",
        file="tfcurv/bounds/propagation/worst_translation.py",
        old="return (length(c) + _tiny(c)) * rho * _up(c) + _tiny(c)",
        new="return length(c) * rho * _up(c)",
        tests=("tests/bounds/propagation/worst_translation_test.py",),
    ),
    Mutant(
        name="columns_taken_as_exact",
        fault="Differences of columns without the error of stored weights.",
        file="tfcurv/bounds/propagation/margins.py",
        old="parts.append(rise + missed * farthest_of(region)[:, tf.newaxis])",
        new="parts.append(rise)",
        tests=("tests/certificates/interval/regions_test.py",),
    ),
    Mutant(
        name="ball_of_linf_is_epsilon",
        fault="The ball of a linf neighbourhood as small as one of l2.",
        file="tfcurv/bounds/propagation/margins.py",
        old='if norm == "l2" else box',
        new='if norm == "l2" else epsilon',
        tests=("tests/bounds/propagation/ball_box_test.py::StartTest",),
    ),
    Mutant(
        name="domain_cut_at_the_wrong_end",
        fault="The first box cut to the lower end of the domain from above.",
        file="tfcurv/bounds/propagation/margins.py",
        old="tf.minimum(high, tf.maximum(domain[1] - x + lost, 0.0))",
        new="tf.minimum(high, tf.maximum(domain[0] - x + lost, 0.0))",
        tests=("tests/bounds/propagation/ball_box_test.py::StartTest",),
    ),
)
