"""The compiler: from a model, by a table of operations, to a program in plain Python.

``trace`` lists the operations, ``Facts`` say what is known about them, ``write`` spells
out the program. Each operation is one row of the table, see :class:`Op`.
"""

from .facts import Facts, Place
from .rows import Op, register, row, unregister, word
from .text import Program, Variant, write
from .trace import trace
