# ruff: noqa: F403, I001  they stand in the order in which a chart offers them
"""The statistics that there are: one line for each file, in the order in which a chart offers them.

What a file lists in its ``__all__`` is public in Glasshead, and its metrics can be chosen by name.
"""

from glasshead_backend.statistics.norms import *
from glasshead_backend.statistics.similarity import *
from glasshead_backend.statistics.logit_lens import *
from glasshead_backend.statistics.fit_lens import *
from glasshead_backend.statistics.prediction_divergence import *
from glasshead_backend.statistics.outcomes import *
from glasshead_backend.statistics.bin_sensitivity import *
from glasshead_backend.statistics.mutual_information import *
from glasshead_backend.statistics.probing import *
from glasshead_backend.statistics.head_metrics import *
from glasshead_backend.statistics.heads import *
from glasshead_backend.statistics.head_atlas import *
from glasshead_backend.statistics.logit_contribution import *
from glasshead_backend.statistics.head_effect import *
from glasshead_backend.statistics.own_metric import *
from glasshead_backend.statistics.patching import *
