"""Labelled images as batches of arrays, from tf.data, arrays or a name.

Knows no network and no Keras.
"""

from tfcurv.data.batches import DEFAULT_BATCH_SIZE as DEFAULT_BATCH_SIZE
from tfcurv.data.batches import Batch as Batch
from tfcurv.data.batches import BatchSource as BatchSource
from tfcurv.data.batches import batches as batches
from tfcurv.data.fingerprint import DataFingerprint as DataFingerprint
from tfcurv.data.fingerprint import read_again as read_again
from tfcurv.data.inputs import PixelRangeWarning as PixelRangeWarning
from tfcurv.data.labels import is_one_hot as is_one_hot
from tfcurv.data.named import DATASETS as DATASETS
from tfcurv.data.named import DatasetInfo as DatasetInfo
from tfcurv.data.named import Split as Split
from tfcurv.data.named import dataset_info as dataset_info
from tfcurv.data.named import load_split as load_split
from tfcurv.data.stream import without_autotuning as without_autotuning
