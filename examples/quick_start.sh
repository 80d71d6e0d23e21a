# Simulate three tomograms, train on 8 clicks in the first, pick in the two others, compare with the truth.
set -e
tomopicker simulate --output data --count 3 --shape 200,200,80 --particles 30
tomopicker train data/TS_0001.mrc --picks examples/clicks_TS_0001.csv --particle-diameter 300 --output ribosome.model
tomopicker pick data/TS_0002.mrc data/TS_0003.mrc --model ribosome.model --output picks
tomopicker evaluate picks --truth data/truth
