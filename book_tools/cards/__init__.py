"""Cards of data and models, written from manifests and stamped results alone."""

from book_tools.cards.counting import real_facts
from book_tools.cards.front import ClaimError, findings, in_short
from book_tools.cards.model import model_card
from book_tools.cards.phantom import data_card
from book_tools.cards.real_sets import real_data_card
