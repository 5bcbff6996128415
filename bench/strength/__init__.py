"""How strong the attacks are: on the demo model's validation images, beside other libraries, and at what cost."""
