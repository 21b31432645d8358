"""A feed handler: `TICKER SIZE` on each line of its input. python feed.py URL SPOOL"""

import sys
from datetime import datetime, timezone

import stock_db

with stock_db.connect(sys.argv[1]).writer(spool=sys.argv[2]) as writer:
    for line in sys.stdin:
        ticker, size = line.split()
        writer.trade(ticker, datetime.now(timezone.utc), 10.5, int(size))
