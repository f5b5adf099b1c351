"""Draws one picture in a fresh Python process: what `tessera draw` is measured against as a whole. usage: draw_once.py MODEL_DIR"""
import sys

from worker import Bench

Bench(sys.argv[1], None).draw()
