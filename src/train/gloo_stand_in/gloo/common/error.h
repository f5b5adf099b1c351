// Stands in for a Gloo header that LibTorch's wheel leaves out; nothing of it is used here (see ../context.h).
#pragma once
