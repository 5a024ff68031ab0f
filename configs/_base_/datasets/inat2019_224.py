# <data_root>/train2019.json, val2019.json and train_val2019/**, as in the official archives.
_base_ = "inat2018_224.py"

num_classes = 1010
data_preprocessor = dict(num_classes=num_classes)
images = dict(year=2019, data_root="data/inat2019")
train_dataloader = dict(dataset=images)
val_dataloader = dict(dataset=images)
test_dataloader = dict(dataset=images)
