"""Faults in the floor with Keras; see `mutant_list`."""

from mutant import Mutant

MUTANTS = (
    Mutant(
        name="attacked_shown_as_clean",
        fault="The accuracy on attacked points shown as that of the images.",
        file="tfcurv/nn/training/shown.py",
        old='"accuracy": self._clean.result()}',
        new='"accuracy": shown["accuracy"]}',
        tests=("tests/nn/training/shown_test.py",),
    ),
    Mutant(
        name="unknown_layer_ignored",
        fault=(
            "An unknown layer taken for the identity: gloro counts "
            "unknown layers as 1-Lipschitz."
        ),
        file="tfcurv/nn/reading/reader.py",
        old="raise refusals.unknown(layer, len(sources))",
        new="return sources[0]",
        tests=("tests/nn/reading/graph_refusals_test.py::LayerTest",),
    ),
    Mutant(
        name="subclass_trusted",
        fault="A subclass of Dense taken for Dense, whatever its `call` does.",
        file="tfcurv/nn/reading/reader.py",
        old="layer, kind = call.operation, type(call.operation)",
        new=(
            "layer, kind = call.operation, type(call.operation)\n"
            "        if kind not in _LAYERS:\n"
            "            _LAYERS.add(kind)\n"
            "            readers = linear_layers.READERS\n"
            "            readers[kind] = readers.get(kind.__mro__[1])"
        ),
        tests=("tests/nn/reading/graph_refusals_test.py::LayerTest",),
    ),
    Mutant(
        name="softmax_head_accepted",
        fault="Probabilities certified as if they were logits.",
        file="tfcurv/nn/reading/activation_layers.py",
        old="        if fn is known:\n",
        new=(
            "        if fn is keras.activations.softmax:\n"
            "            return None\n"
            "        if fn is known:\n"
        ),
        tests=("tests/nn/reading/graph_refusals_test.py",),
    ),
    Mutant(
        name="precision_ignored",
        fault="A layer of mixed precision read as if it were float32.",
        file="tfcurv/nn/reading/layer_checks.py",
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
        tests=("tests/nn/reading/graph_refusals_test.py",),
    ),
    Mutant(
        name="branches_ignored",
        fault="A layer that joins branches read as if it had the first alone.",
        file="tfcurv/nn/reading/layer_checks.py",
        old="if len(sources) != 1:",
        new="if not sources:",
        tests=("tests/nn/reading/graph_refusals_test.py",),
    ),
    Mutant(
        name="batch_epsilon_forgotten",
        fault="A BatchNormalization folded without its epsilon.",
        file="tfcurv/nn/reading/normalization_layers.py",
        old="along_axis(layer.moving_variance) + layer.epsilon",
        new="along_axis(layer.moving_variance)",
        tests=("tests/nn/reading/normalization_layers_test.py",),
    ),
    Mutant(
        name="assumption_unnamed",
        fault=(
            "A result that rests on what the caller said, and does not say so."
        ),
        file="tfcurv/nn/reading/subject.py",
        old="assumptions=found.assumptions",
        new="assumptions=()",
        tests=("tests/nn/reading/assume_test.py",),
    ),
    Mutant(
        name="rescaling_ignored",
        fault=(
            "A Rescaling layer passed over, so that radii come in "
            "units of something else than the model's input."
        ),
        file="tfcurv/nn/reading/normalization_layers.py",
        old="return _step(layer, shape, scale, offset)",
        new="return _step(layer, shape, np.ones(()), np.zeros(()))",
        tests=("tests/nn/reading/network_test.py::LogitsTest",),
    ),
    Mutant(
        name="attribute_taken_for_activation",
        fault="An attribute that Keras never looks at read as an activation.",
        file="tfcurv/nn/reading/linear_layers.py",
        old="isinstance(layer, _WITH_ACTIVATION) and layer.activation",
        new='getattr(layer, "activation", None)',
        tests=("tests/nn/reading/graph_test.py",),
    ),
    Mutant(
        name="agreement_unchecked",
        fault="A model that computes something else than its layers say.",
        file="tfcurv/nn/reading/network.py",
        old="    _check_agreement(model, found)\n    # What",
        new="    # What",
        tests=("tests/nn/reading/network_test.py::RefusalTest",),
    ),
    Mutant(
        name="diverged_weights_accepted",
        fault="NaN among the weights not refused by name.",
        file="tfcurv/nn/reading/network.py",
        old="survey.refuse(refusals.not_finite_weight(model, weight))",
        new="pass",
        tests=("tests/nn/reading/network_test.py::RefusalTest",),
    ),
    Mutant(
        name="function_known_by_its_name",
        fault="A user's function taken for the one of Keras that it is named.",
        file="tfcurv/nn/reading/activation_layers.py",
        old="        if fn is known:\n",
        new='        if getattr(fn, "__name__", "") == known.__name__:\n',
        tests=("tests/nn/reading/operations_test.py::FunctionTest",),
    ),
    Mutant(
        name="settings_of_an_operation_ignored",
        fault="The approximation of gelu taken for gelu.",
        file="tfcurv/nn/reading/operations.py",
        old="if (found := getattr(operation, name)) != value:",
        new="if (found := getattr(operation, name)) is ...:",
        tests=("tests/nn/reading/operations_test.py::FunctionTest",),
    ),
    Mutant(
        name="constant_varies_in_the_batch",
        fault="A constant with an axis of samples taken for that of one.",
        file="tfcurv/nn/reading/operations.py",
        old="whole = (1, *shape)",
        new="whole = (*number.shape[:1], *shape)",
        tests=("tests/nn/reading/operations_test.py::RefusalTest",),
    ),
    Mutant(
        name="constant_taken_as_float32_holds_it",
        fault="A number that Keras rounds to float32 read as if it did not.",
        file="tfcurv/nn/reading/operations.py",
        old="exact = held and np.array_equal(number.astype(np.float32), array)",
        new="exact = held",
        tests=("tests/nn/reading/operations_test.py::AffineTest",),
    ),
    Mutant(
        name="sum_along_another_axis",
        fault="A sum that Keras takes for a bias read as broadcasting has it.",
        file="tfcurv/nn/reading/operations.py",
        old="if taken != where or",
        new="if",
        tests=("tests/nn/reading/operations_test.py::RefusalTest",),
    ),
    Mutant(
        name="divided_by_what_depends_on_the_input",
        fault="A quotient by the input, 255 / x, read as x / 255.",
        file="tfcurv/nn/reading/operations.py",
        old='if role == "/" and not is_first:',
        new='if role == "/" and is_first is None:',
        tests=("tests/nn/reading/operations_test.py::RefusalTest",),
    ),
    Mutant(
        name="refused_layer_passed_over",
        fault="A model certified although a layer of it was refused.",
        file="tfcurv/nn/reading/graph.py",
        old="        if self._refusals:\n            found",
        new="        if len(self._refusals) > 1:\n            found",
        tests=("tests/nn/reading/graph_refusals_test.py::LayerTest",),
    ),
    Mutant(
        name="exported_weights_left_behind",
        fault="A plain model that is exported with weights of its own.",
        file="tfcurv/nn/training/rebuilding.py",
        old="        target.assign(source)",
        new="        target.assign(target)",
        tests=("tests/nn/files/conversion_test.py::ConversionTest",),
    ),
    Mutant(
        name="random_when_called",
        fault="A layer that is random when called taken for an identity.",
        file="tfcurv/nn/reading/reader.py",
        old="        training_mode.check(layer, self._trained)\n",
        new="",
        tests=("tests/nn/reading/training_mode_test.py::DeployedModelTest",),
    ),
    Mutant(
        name="training_mode_not_handed_on",
        fault="The mode of a layer that ran before taken for its own affair.",
        file="tfcurv/nn/reading/training_mode.py",
        old="            elif self._mode is not None:\n",
        new="            elif False:\n",
        tests=("tests/nn/reading/training_mode_test.py",),
    ),
    Mutant(
        name="called_model_not_looked_at",
        fault="Only `predict` compared with what was read, not `model(x)`.",
        file="tfcurv/nn/reading/network.py",
        old="    if not found.trained_assumptions:\n",
        new="    if False:\n",
        tests=("tests/nn/reading/training_mode_test.py::DeployedModelTest",),
    ),
    Mutant(
        name="float64_constants_as_given",
        fault="A number that Keras rounds to float32 read without rounding.",
        file="tfcurv/nn/reading/normalization_layers.py",
        old='    return layer.backend.cast(value, "float64")\n',
        new="    return value\n",
        tests=("tests/nn/reading/normalization_layers_test.py::RescalingTest",),
    ),
    Mutant(
        name="penalty_outside_the_loss",
        fault="A penalty that neither replicas nor weights of examples scale.",
        file="tfcurv/nn/training/model.py",
        old="""reduce_as_compiled(
            added,
            self.loss,
            y,
            y_pred,
            sample_weight,
            self._loss_weights,
        )""",
        new="tf.reduce_mean(added)",
        tests=(
            "tests/nn/training/example_losses_test.py::TrainingTest",
            "tests/nn/training/replicas_test.py",
        ),
    ),
    Mutant(
        name="ignored_class_penalised",
        fault="Examples that the loss ignores among those of the mean.",
        file="tfcurv/nn/training/example_losses.py",
        old='own = getattr(values, "_keras_mask", None)',
        new="own = None",
        tests=("tests/nn/training/example_losses_test.py",),
    ),
    Mutant(
        name="labels_in_32_bits",
        fault="A label beyond 32 bits taken for a class.",
        file="tfcurv/nn/training/targets.py",
        old="tf.cast(column[:, 0], tf.int64)",
        new="tf.cast(column[:, 0], tf.int32)",
        tests=("tests/nn/training/targets_test.py::ClassIndicesTest",),
    ),
    Mutant(
        name="gradient_norm_underflows",
        fault="An attack that squares gradients that have no squares.",
        file="tfcurv/nn/training/attack.py",
        old="unit = tf.where(usable, largest, tf.ones_like(largest))",
        new="unit = tf.ones_like(largest)",
        tests=("tests/nn/training/attack_test.py::PerturbTest",),
    ),
    Mutant(
        name="loss_added_too_late",
        fault="A regularizer without effect until the model is compiled.",
        file="tfcurv/nn/training/model.py",
        old=(
            "        self._aims.follow(self._clock)\n"
            "        self._trace_again()\n"
        ),
        new="        self._aims.follow(self._clock)\n",
        tests=("tests/nn/training/stale_state_test.py::ChangeTest",),
    ),
    Mutant(
        name="model_read_once",
        fault="A penalty of the model as it was when it was first read.",
        file="tfcurv/nn/training/model.py",
        old="if known is None or not known.reads_as(self._trained_graph):",
        new="if known is None:",
        tests=("tests/nn/training/stale_state_test.py::ChangeTest",),
    ),
    Mutant(
        name="attack_out_of_its_ball",
        fault="Projected gradient steps that are not projected.",
        file="tfcurv/nn/training/projected_gradient.py",
        old="point = self._into(centre, radius, point + step)",
        new="point = self._threat.cut(point + step)",
        tests=("tests/nn/training/projected_gradient_test.py::PerturbTest",),
    ),
    Mutant(
        name="divergence_of_the_wrong_side",
        fault="TRADES that weighs by the attacked output, not by the data's.",
        file="tfcurv/nn/training/trades.py",
        old="tf.reduce_sum(tf.exp(log_p) * (log_p - log_q), axis=-1)",
        new="tf.reduce_sum(tf.exp(log_q) * (log_q - log_p), axis=-1)",
        tests=("tests/nn/training/trades_test.py",),
    ),
    Mutant(
        name="divergence_at_the_data",
        fault="TRADES whose penalty looks at points that were not attacked.",
        file="tfcurv/nn/training/trades.py",
        old="there = tf.cast(model(moved, training=True), x.dtype)",
        new="there = tf.cast(model(x, training=True), x.dtype)",
        tests=("tests/nn/training/trades_test.py::TrainingTest",),
    ),
    Mutant(
        name="penalty_of_evaluation",
        fault="An evaluation that adds the penalty of an adversary.",
        file="tfcurv/nn/training/model.py",
        old="if training and (adversary := self._aims.penalizer)",
        new="if (adversary := self._aims.penalizer)",
        tests=("tests/nn/training/trades_test.py::TrainingTest",),
    ),
    Mutant(
        name="interrupted_warm_up_kept",
        fault="An epsilon that stays where an interruption found it.",
        file="tfcurv/nn/training/model.py",
        old="                strength.settle()\n",
        new="                pass\n",
        tests=("tests/nn/training/warm_up_test.py::WarmUpTest",),
    ),
    Mutant(
        name="new_kernel_followed_as_an_old_one",
        fault="One step of power iteration on a kernel never seen.",
        file="tfcurv/nn/layers/spectral_norm.py",
        old="is_cold = (growth > _COLD) | (turned < _TURNED)",
        new="is_cold = growth > 100.0",
        tests=("tests/nn/layers/spectral_norm_test.py::StateTest",),
    ),
    Mutant(
        name="new_kernel_known_by_growth_alone",
        fault="A small new kernel taken for one followed: little grows.",
        file="tfcurv/nn/layers/spectral_norm.py",
        old="is_cold = (growth > _COLD) | (turned < _TURNED)",
        new="is_cold = growth > _COLD",
        tests=("tests/nn/layers/spectral_norm_test.py::StateTest",),
    ),
    Mutant(
        name="rounded_slope_taken_as_written",
        fault="A slope of 0.3 where the kernel that runs has it in float32.",
        file="tfcurv/nn/reading/activation_layers.py",
        old='"leaky_relu", np.float32(negative_slope), None',
        new='"leaky_relu", np.float64(negative_slope), None',
        tests=("tests/nn/reading/kinks_test.py::ReadingTest",),
    ),
    Mutant(
        name="predict_as_it_was",
        fault="A layer changed since `predict` was compiled, which goes on.",
        file="tfcurv/nn/reading/network.py",
        old="    model.predict_function = None\n",
        new="",
        tests=("tests/nn/reading/training_mode_test.py::DeployedModelTest",),
    ),
    Mutant(
        name="norms_that_lag",
        fault="One step of power iteration a batch where balls need many.",
        file="tfcurv/nn/training/usage.py",
        old="return _STEPS_OF_BALLS if has_balls else 1",
        new="return 1",
        tests=("tests/nn/training/usage_test.py::UsageTest",),
    ),
    Mutant(
        name="worst_case_forgets_the_ball",
        fault="Boxes that begin behind a Flatten, not in the ball before it.",
        file="tfcurv/nn/training/worst_case.py",
        old="whole_first = not bound.rules.ball",
        new="whole_first = False",
        tests=("tests/nn/training/worst_case_test.py::LogitsTest",),
    ),
    Mutant(
        name="worst_case_weighs_the_rest",
        fault="The weights of clean and worst loss exchanged.",
        file="tfcurv/nn/training/worst_logits.py",
        old="mixed = (1.0 - weight) * loss\n",
        new="mixed = weight * loss\n",
        tests=("tests/nn/training/worst_case_test.py::LossTest",),
    ),
    Mutant(
        name="a_layer_too_many_frozen",
        fault="The layer in front of the latent points no longer trained.",
        file="tfcurv/nn/training/layerwise_adversary.py",
        old="return bends[: self.stage]",
        new="return bends[: self.stage + 1]",
        tests=("tests/nn/training/layerwise_adversary_test.py::TrainingTest",),
    ),
    Mutant(
        name="stages_exchanged",
        fault="The latent loss of this stage weighed as that of the last.",
        file="tfcurv/nn/training/layerwise_adversary.py",
        old="return Logits(usual, worst, penalties)",
        new="return Logits(worst, usual, penalties)",
        tests=("tests/nn/training/layerwise_adversary_test.py::LogitsTest",),
    ),
    Mutant(
        name="latent_points_anywhere",
        fault="Coefficients of latent points that are not cut to [-1, 1].",
        file="tfcurv/nn/training/layerwise_adversary.py",
        old="                    -1.0,\n                    1.0,\n",
        new="                    -9.0,\n                    9.0,\n",
        tests=("tests/nn/training/layerwise_adversary_test.py::LogitsTest",),
    ),
    Mutant(
        name="training_mode_overlooked",
        fault="The loss of inference taken where dropout trains.",
        file="tfcurv/nn/training/usage.py",
        old='        "training" in inspect.signature(layer.call).parameters\n',
        new="        False\n",
        tests=("tests/nn/training/worst_case_test.py::LossTest",),
    ),
    Mutant(
        name="normalization_without_its_mean",
        fault="A batch normalization whose mean does not shift.",
        file="tfcurv/nn/training/trained_graph.py",
        old="shift = -scale * _at_least_single(layer.moving_mean)",
        new="shift = 0.0 * scale",
        tests=("tests/nn/training/worst_case_test.py::LossTest",),
    ),
)
