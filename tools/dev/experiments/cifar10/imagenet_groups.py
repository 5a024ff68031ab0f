"""Ten groups of ImageNet classes, for data sets with few images of each class."""

GROUPS = {
    "bird": """brambling robin water_ouzel black_grouse quail lorikeet jacamar black_swan flamingo
        limpkin red-backed_sandpiper king_penguin""",
    "reptile, amphibian": """European_fire_salamander bullfrog mud_turtle American_chameleon
        Gila_monster American_alligator green_snake night_snake sea_snake""",
    "dog": """Shih-Tzu Afghan_hound black-and-tan_coonhound Irish_wolfhound otterhound
        American_Staffordshire_terrier Norfolk_terrier Sealyham_terrier Boston_bull Tibetan_terrier
        flat-coated_retriever German_short-haired_pointer Brittany_spaniel Sussex_spaniel malinois
        Shetland_sheepdog German_shepherd Appenzeller French_bulldog Siberian_husky Leonberg chow
        toy_poodle""",
    "other mammal": """koala sea_lion white_wolf African_hunting_dog grey_fox Egyptian_cat jaguar
        American_black_bear wood_rabbit fox_squirrel zebra ox ibex llama otter orangutan guenon
        colobus titi Indian_elephant""",
    "arthropod": """harvestman black_widow fiddler_crab hermit_crab tiger_beetle dung_beetle ant
        mantis damselfly sulphur_butterfly""",
    "vehicle": """airship bobsled container_ship fire_engine freight_car golfcart harvester lifeboat
        moped motor_scooter moving_van oxcart passenger_car schooner steam_locomotive tricycle
        unicycle warplane""",
    "clothing": """academic_gown bikini bulletproof_vest chain_mail cowboy_hat football_helmet
        gasmask jersey knee_pad Loafer miniskirt pickelhaube poncho running_shoe sarong""",
    "building": """bakery barn breakwater cliff_dwelling dam drilling_platform greenhouse
        mobile_home radio_telescope stone_wall tobacco_shop toyshop water_tower yurt""",
    "device": """CD_player car_mirror cash_machine digital_clock hand-held_computer iPod laptop
        magnetic_compass microphone odometer projector slot space_bar sundial""",
    "food": """consomme French_loaf mashed_potato spaghetti_squash bell_pepper orange jackfruit
        chocolate_sauce burrito""",
}
GROUP_OF = {name: group for group, names in GROUPS.items() for name in names.split()}
