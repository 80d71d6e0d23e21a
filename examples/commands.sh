# What docs/commands/{check,train,pick,threshold}.md show, on the tomograms of quick_start.sh.
set -e
tomopicker simulate --output data --count 3 --shape 200,200,80 --particles 30
tomopicker check examples/mirrored_TS_0001.csv data/TS_0001.mrc --particle-diameter 300 || true
tomopicker train data/TS_0001.mrc --picks examples/clicks_TS_0001.csv --particle-diameter 300 \
    --output ribosome.model --dry-run
tomopicker train data/TS_0001.mrc --picks examples/clicks_TS_0001.csv --particle-diameter 300 --output ribosome.model
tomopicker pick data/TS_0002.mrc data/TS_0003.mrc --model ribosome.model --output picks
head -n 4 picks/picks.csv
tomopicker evaluate picks --truth data/truth
tomopicker pick data/TS_0002.mrc data/TS_0003.mrc --model ribosome.model --output picks
tomopicker threshold picks --target-precision 0.95
tomopicker evaluate picks --truth data/truth
