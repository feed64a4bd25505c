#pragma once
// What the kernels use of Apple's headers, so that they compile for that target on machines without its SDK.

#define INFINITY __builtin_inff()

double sqrt(double x);
double log(double x);
