"""A method of ten lines, to see what the contract asks of one."""

import numpy as np
import tensorflow as tf

from tfcurv import certificates


class ToyLipschitz(certificates.Method):
    """Margins over a product of Frobenius norms: slopes are at most one."""

    name = "toy"
    cost = certificates.Cost.PASSES
    grounds = (("Frobenius norms", "with room for float64's rounding"),)

    @classmethod
    def refusal(cls, network, threat, options):
        """Returns why not, of anything but chains of tanh."""
        names = {fn.name for fn in network.activations}
        if names <= {"tanh", "softplus"} and threat == certificates.Threat():
            return None
        return f"Received: {sorted(names)}, threat={threat}. Allowed: l2, tanh."

    def first_radii(self, x, y, rivals):
        """Returns what the margins at x prove."""
        logits = self.network.logits(tf.constant(x)).numpy()
        *inner, last = (affine.kernel for affine in self.network.affines)
        own = last.T[y][:, np.newaxis]
        steepest = np.linalg.norm(own - last.T, axis=-1)
        steepest *= np.prod([np.linalg.norm(kernel) for kernel in inner])
        margins = logits[np.arange(len(y)), y][:, np.newaxis] - logits
        return np.where(rivals, margins, 1.0) / (steepest + ~rivals) * 0.999
