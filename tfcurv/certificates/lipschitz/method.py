"""The method of global Lipschitz constants, behind the contract."""

import numpy as np

from tfcurv import networks
from tfcurv.certificates.deciding.contract import CertifierOptions
from tfcurv.certificates.deciding.contract import Cost
from tfcurv.certificates.deciding.contract import Curvature
from tfcurv.certificates.deciding.contract import Method
from tfcurv.certificates.deciding.contract import Threat
from tfcurv.certificates.lipschitz.bounds import LipschitzBounds


class LipschitzMethod(Method):
    """Proves radii by how fast each margin can change; see `lipschitz`."""

    name = "lipschitz"
    cost = Cost.PASSES
    grounds = (("Lipschitz constants", "proved norms, along the graph"),)
    needs_graph = True

    def __init__(
        self,
        network: networks.GraphNetwork,
        options: CertifierOptions = CertifierOptions(),
    ):
        """Proves nothing yet.

        Args:
            network: Any graph.
            options: What is asked.
        """
        super().__init__(network, options)
        self._bounds = LipschitzBounds(network.graph, network.rigor)

    @classmethod
    def refusal(
        cls,
        network: networks.Network | networks.GraphNetwork,
        threat: Threat,
        options: CertifierOptions,
    ) -> str | None:
        """Returns why not: another threat, or bounds on curvature."""
        if threat != Threat():
            return (
                "Global Lipschitz constants give l2 balls, of all inputs. "
                f"Received: threat={threat}. Allowed: threat={Threat()}."
            )
        if options.curvature is not Curvature.GLOBAL:
            return (
                "Lipschitz constants rest on no curvature: there is nothing to "
                f"choose. Received: curvature={options.curvature.value!r}. "
                "Allowed: 'global'."
            )
        return None

    def first_radii(
        self, x: np.ndarray, y: np.ndarray, rivals: np.ndarray
    ) -> np.ndarray:
        """Returns margins over Lipschitz constants, for all classes."""
        return self._bounds.radii(x, y)
