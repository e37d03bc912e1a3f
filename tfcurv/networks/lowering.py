"""From a graph to the chain of maps that curvature is proved of."""

from tfcurv import errors
from tfcurv import solvers
from tfcurv.networks.chain import Executed
from tfcurv.networks.chain import Network
from tfcurv.networks.flow import Flow
from tfcurv.networks.graph import Graph
from tfcurv.networks.graph import Kind


def chain_of(
    graph: Graph,
    *,
    rigor: solvers.Rigor = solvers.Rigor.VERIFIED,
    execution: Executed | None = None,
) -> Network:
    """Returns a graph as affine maps with an activation between each two.

    What lies between activations is one map; matrices are fused in float64,
    and the rounding errors of fusing them are carried along.

    Args:
        graph: Without maxima.
        rigor: How norms and eigenvalues are to be bounded.
        execution: Rounding to certify against, see `Network`.

    Raises:
        UnsupportedModelError: A node is neither affine nor elementwise.
    """
    flow = Flow(graph.input_dim)
    values = [flow.input]
    for node in graph.nodes[1:]:
        sources = [values[source] for source in node.sources]
        if node.kind is Kind.LINEAR:
            linear, bias, roundings, error = node.step
            value = flow.linear(
                sources[0],
                linear,
                bias,
                roundings=roundings,
                bias_error=error,
            )
        elif node.kind is Kind.ACTIVATION:
            value = flow.activate(sources[0], node.activation)
        elif node.kind is Kind.ADD:
            value = flow.add(sources)
        elif node.kind is Kind.CONCATENATE:
            shapes = graph.shapes(node.sources)
            value = flow.concatenate(sources, shapes, node.axis)
        else:
            raise errors.UnsupportedModelError(
                "A chain consists of affine maps and elementwise activations. "
                f"Received: a {node.kind.value} in {node.name!r}. Remedy: a "
                "method that needs no chain, such as method='bcp'."
            )
        values.append(value)
    return flow.network(values[-1], rigor=rigor, execution=execution)
