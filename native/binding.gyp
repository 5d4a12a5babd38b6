{
  "targets": [
    {
      "target_name": "kube_volume_metrics",
      "sources": ["<!@(node -p \"require('node:fs').readdirSync('.').filter((name) => name.endsWith('.cc')).join(' ')\")"],
      "defines": ["NAPI_VERSION=8"],
      "cflags": ["-fvisibility=hidden", "-Wall", "-Wextra", "-Wno-unused-parameter"],
      "cflags_cc": ["-std=c++17", "-fno-exceptions", "-O2"],
      "cflags_cc!": ["-std=gnu++17", "-std=gnu++20", "-O3"],
      "ldflags": ["-Wl,-z,nodelete", "-static-libstdc++", "-static-libgcc"]
    }
  ]
}
