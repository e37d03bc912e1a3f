"""Draws tables, curves and pages from plain arrays.

Knows no network, no certificate and no Keras.
"""

from tfcurv.report.curves import Curve as Curve
from tfcurv.report.curves import certified_accuracy as certified_accuracy
from tfcurv.report.curves import curves_png as curves_png
from tfcurv.report.curves import plot_curves as plot_curves
from tfcurv.report.drawing import check_drawing as check_drawing
from tfcurv.report.drawing import drawing_kind as drawing_kind
from tfcurv.report.files import require_writable as require_writable
from tfcurv.report.files import write_atomically as write_atomically
from tfcurv.report.gaps import GapPanel as GapPanel
from tfcurv.report.gaps import gaps_png as gaps_png
from tfcurv.report.gaps import plot_gaps as plot_gaps
from tfcurv.report.pages import FigureSection as FigureSection
from tfcurv.report.pages import GalleryItem as GalleryItem
from tfcurv.report.pages import GallerySection as GallerySection
from tfcurv.report.pages import Section as Section
from tfcurv.report.pages import TableSection as TableSection
from tfcurv.report.pages import TextSection as TextSection
from tfcurv.report.pages import write_page as write_page
from tfcurv.report.planes import PlanePanel as PlanePanel
from tfcurv.report.planes import plot_planes as plot_planes
from tfcurv.report.progress import announce as announce
from tfcurv.report.progress import progress_bar as progress_bar
from tfcurv.report.tables import format_markdown_table as format_markdown_table
from tfcurv.report.tables import format_table as format_table
from tfcurv.report.tables import number as number
from tfcurv.report.tables import percent as percent
